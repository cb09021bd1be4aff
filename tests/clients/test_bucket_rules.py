"""A bucket is set up at a real server, and the host's key is tried there: what it could destroy is found out."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tasks.clients import bucket_key, bucket_rules, bucket_trial
from tasks.clients.bucket import Bucket
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.lab import s3


def admin(server: s3.S3, name: str) -> Bucket:
    return Bucket(Backup.model_validate({**server.setting, "bucket": name}), *s3.ADMIN)


def user(store: Bucket, *rights: str) -> Bucket:
    """A key with these rights beside those of a host's."""
    iam: Any = store.client("iam", store.place.endpoint)
    name = f"user-{time.time_ns()}"
    document = json.loads(bucket_key.policy(store.place.bucket))
    document["Statement"].append({"Effect": "Allow", "Action": list(rights), "Resource": "arn:aws:s3:::*"})
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Bucket(store.place, key["AccessKeyId"], key["SecretAccessKey"])


def test_a_bucket_is_made_and_stays_as_it_is(server: s3.S3) -> None:
    store = admin(server, "new-one")
    assert list(bucket_rules.converged(store)) == [
        "the bucket new-one is made",
        "nobody deletes a version of it for 30 days, whoever asks",
        "versions go 31 days after they were overwritten or deleted",
    ]
    assert list(bucket_rules.converged(store)) == []
    assert (bucket_rules.locked(store), bucket_rules.versioned(store)) == (30, True)
    assert list(bucket_rules.remarks(store)) == []
    rules = store.call("get_bucket_lifecycle_configuration")["Rules"]
    assert [(rule["ID"], rule["NoncurrentVersionExpiration"]) for rule in rules] == [
        ("smarteros", {"NoncurrentDays": 31})
    ]


def test_one_that_is_there_gets_what_it_lacks(server: s3.S3) -> None:
    store = admin(server, "half-made")
    store.call("create_bucket")
    rule = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 9}}
    store.call("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [rule]})
    assert [line.split()[0] for line in bucket_rules.remarks(store)] == ["s3.example.net"]
    assert list(bucket_rules.converged(store)) == [
        "it keeps versions of what is overwritten or deleted",
        "nobody deletes a version of it for 30 days, whoever asks",
        "versions go 31 days after they were overwritten or deleted",
    ]
    assert list(bucket_rules.converged(store)) == []
    rules = store.call("get_bucket_lifecycle_configuration")["Rules"]
    assert [item["ID"] for item in rules] == ["theirs", "smarteros"]


@pytest.mark.parametrize(
    ("kept", "days"),
    [
        ({"Mode": "GOVERNANCE", "Days": 90}, 30),
        ({"Mode": "COMPLIANCE", "Days": 7}, 30),
        ({"Mode": "COMPLIANCE", "Days": 90}, 90),
        ({"Mode": "COMPLIANCE", "Years": 1}, 365),
    ],
)
def test_a_lock_is_never_shortened_and_governance_is_none(
    server: s3.S3, kept: dict[str, Any], days: int
) -> None:
    name = f"lock-{kept['Mode'].lower()}-{kept.get('Days', 'year')}"
    store = admin(server, name)
    store.call("create_bucket", ObjectLockEnabledForBucket=True)
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": kept}}
    store.call("put_object_lock_configuration", ObjectLockConfiguration=lock)
    list(bucket_rules.converged(store))
    assert bucket_rules.locked(store) == days


def test_a_bucket_with_other_things_is_refused_as_it_was(server: s3.S3) -> None:
    store = admin(server, "foreign")
    store.call("create_bucket")
    store.put("photos/1", b"x")
    with pytest.raises(Refused, match=r"foreign holds other things \(photos/\), whose versions"):
        list(bucket_rules.converged(store))
    assert not bucket_rules.versioned(store)


def test_the_key_that_is_made_can_back_up_and_destroy_nothing(server: s3.S3) -> None:
    store = admin(server, "made-key")
    list(bucket_rules.converged(store))
    key = bucket_key.made(store)
    host = Bucket(store.place, *key)
    store.put("trial/of-a-run-that-was-killed", b"x")
    assert list(bucket_trial.tried(store, host)) == []
    assert store.keys("trial/") == []
    assert bucket_rules.locked(host) == 30
    again = bucket_key.made(store)
    assert again != key
    bucket_key.forget(store, key[0])
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        _until_refused(lambda: host.keys(""))


def _until_refused(call: Callable[[], Any]) -> None:
    for _ in range(100):
        call()
        time.sleep(0.1)


def test_a_key_made_by_hand_is_tried_the_same_and_its_rights_are_said(server: s3.S3) -> None:
    store = admin(server, s3.BUCKET)
    list(bucket_rules.converged(store))
    assert [line.partition(", ")[0] for line in bucket_trial.tried(store, Bucket(store.place, *s3.HOST))] == [
        "the host's key may delete versions older than 30 days",
        "the host's key may change the bucket's lifecycle",
    ]


def test_a_key_that_changes_the_lock_is_refused(server: s3.S3) -> None:
    store = admin(server, "too-much")
    list(bucket_rules.converged(store))
    with pytest.raises(Refused, match="changes the bucket's lock: give it the rights to list"):
        list(bucket_trial.tried(store, user(store, "s3:PutBucketObjectLockConfiguration")))
    # Locked versions keep the bucket, whoever may delete it.
    assert list(bucket_trial.tried(store, user(store, "s3:DeleteBucket"))) == []
    store.call("head_bucket")


def test_a_key_that_deletes_a_bucket_without_a_lock_is_refused(server: s3.S3) -> None:
    store = admin(server, "deletable")
    store.call("create_bucket")
    with pytest.raises(Refused, match="deletes the bucket: give it the rights"):
        list(bucket_trial.tried(store, user(store, "s3:DeleteBucket")))


def test_a_bucket_with_backups_is_not_put_at_risk_by_the_trial(server: s3.S3) -> None:
    store = admin(server, "in-use")
    store.call("create_bucket")
    store.put("pg/backup", b"x")
    assert list(bucket_trial.tried(store, user(store, "s3:DeleteBucket"))) == []
    assert store.get("pg/backup") == b"x"


def test_without_a_lock_a_key_that_deletes_versions_is_said(server: s3.S3) -> None:
    store = admin(server, "no-lock")
    store.call("create_bucket")
    store.call("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    assert [line.partition(":")[0] for line in bucket_rules.remarks(store)] == [
        "s3.example.net has no Object Lock for this bucket"
    ]
    said = list(bucket_trial.tried(store, user(store, "s3:DeleteObjectVersion")))
    assert said == ["the host's key deletes versions: who takes over the host can delete every backup"]
    assert list(bucket_trial.tried(store, user(store, "s3:GetObject"))) == []


def test_a_key_that_cannot_store_is_refused(server: s3.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_trial, "_PATIENCE", 0)
    store = admin(server, "not-for-it")
    list(bucket_rules.converged(store))
    with pytest.raises(
        Refused, match="does not let this access key do that: storing an object with the host"
    ):
        list(bucket_trial.tried(store, Bucket(store.place, *s3.HOST)))


def test_where_no_key_is_made_the_operator_is_told_its_rights(server: s3.S3) -> None:
    store = Bucket(admin(server, s3.BUCKET).place, *s3.HOST)
    with pytest.raises(Refused) as refused:
        bucket_key.made(store)
    assert "makes no key for the host with this credential (" in str(refused.value)
    assert "BACKUP_ACCESS_KEY and BACKUP_SECRET_KEY" in str(refused.value)
    assert '"s3:PutObject"' in str(refused.value)

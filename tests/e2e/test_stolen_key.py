"""Stolen key: the host's key for its bucket is made anew as the README has it; the old one is of no use, and nothing is lost."""

import json
from dataclasses import asdict, replace

import pytest
from botocore.exceptions import ClientError

from tasks.clients import bucket_key
from tasks.clients.bucket import Bucket
from tasks.clients.kit import Kit
from tests.e2e.backed import BUCKET, Backed
from tests.lab import addresses, s3

NOW, GIVE, CHECK = (f"tasks.commands.{name}.run" for name in ("backup", "give_secrets", "kit_check"))


def test_a_key_that_was_stolen_is_made_anew(backed: Backed) -> None:
    old = backed.kit()
    with s3.reached(addresses.address(backed.host.lab.description.subnet, addresses.S3)):
        new = _in_the_providers_console(backed, old)
        stolen = Bucket(old.backup, old.access_key, old.secret_key)
        with pytest.raises(ClientError, match="InvalidAccessKeyId"):
            stolen.s3.list_objects_v2(Bucket=old.bucket)
    early = backed.run(CHECK)
    assert (early.code, early.changes) == (1, []), early.output[-3000:]
    assert "uses another key for the bucket than this kit's (S3_KEY, S3_KEY_SECRET in" in early.output
    runs = [backed.run(BUCKET)]
    for name, value in (("S3_KEY", new.access_key), ("S3_KEY_SECRET", new.secret_key)):
        runs.append(backed.run(GIVE, {"SMARTEROS_SECRET": f"backup#{name}"}, typed=f"{value}\n"))
    # What was being sent with the old one tries on for a while, which nobody here waits for.
    backed.host.sh("docker rm --force backup-files backup-redis backup-vault 2>/dev/null || true")
    # Postgres' log leaves with the new one, too: the last ends when all is there.
    runs += [backed.run(), backed.run(CHECK), backed.run(NOW)]
    for run in runs:
        assert run.code == 0, run.output[-6000:]
        assert new.secret_key not in run.output
    assert "pgBackRest's archive (databases) opens" in runs[-2].output


def _in_the_providers_console(backed: Backed, old: Kit) -> Kit:
    """Another key of the same user, which goes into the kit; the old one is deleted."""
    admin = Bucket(old.backup, *s3.ADMIN)
    user = bucket_key.user(old.bucket)
    made = admin.client("iam", old.endpoint).create_access_key(UserName=user)["AccessKey"]
    bucket_key.forget(admin, old.access_key)
    new = replace(old, access_key=made["AccessKeyId"], secret_key=made["SecretAccessKey"])
    backed.path.write_text(json.dumps(asdict(new)))
    return new

"""The host's own key for the bucket, made through IAM (Amazon's, and that of servers which have it at the same address)."""

import json
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from tasks.clients.bucket import Bucket, code, foreseen, reachable
from tasks.run import Refused

# pgBackRest and restic list, get, put and delete; s3:DeleteObject alone leaves the version there.
_OF_BUCKET = (
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:GetBucketLocation",
    "s3:GetBucketVersioning",
    "s3:GetBucketObjectLockConfiguration",
)
_OF_OBJECTS = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
)


def made(admin: Bucket) -> tuple[str, str]:
    """A new key with these rights and no others. Raises Refused, with what to do where the server makes none."""
    iam, name = _iam(admin), user(admin.place.bucket)
    try:
        _user(admin, iam, name)
    except ClientError as error:
        raise Refused(_by_hand(admin, code(error))) from None
    with foreseen(admin.place, f"giving the user {name} its rights and a key"):
        iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=policy(admin.place.bucket))
        try:
            key = iam.create_access_key(UserName=name)["AccessKey"]
        except ClientError as error:
            if code(error) == "LimitExceeded":
                raise Refused(
                    f"backup: the user {name} has as many keys as it may have, of earlier tries: delete one that nobody uses"
                ) from None
            raise
    return str(key["AccessKeyId"]), str(key["SecretAccessKey"])


def there(admin: Bucket) -> tuple[str, ...]:
    """The keys that the user has. Raises Refused as `made` does."""
    try:
        with reachable(admin.place):
            found = _iam(admin).list_access_keys(UserName=user(admin.place.bucket))["AccessKeyMetadata"]
    except ClientError as error:
        if code(error) == "NoSuchEntity":
            return ()
        raise Refused(_by_hand(admin, code(error))) from None
    return tuple(sorted(str(key["AccessKeyId"]) for key in found))


def forget(admin: Bucket, access_key: str) -> None:
    """Takes back a key that nobody has got."""
    with foreseen(admin.place, f"deleting the key {access_key}"):
        _iam(admin).delete_access_key(UserName=user(admin.place.bucket), AccessKeyId=access_key)


def user(bucket: str) -> str:
    """Who the key belongs to; IAM takes 64 characters."""
    return f"smarteros-{bucket}"[:64]


def policy(bucket: str) -> str:
    """The rights, as the operator may copy them, too."""
    place = f"arn:aws:s3:::{bucket}"
    allowed = ((_OF_BUCKET, place), (_OF_OBJECTS, f"{place}/*"))
    statements = [
        {"Effect": "Allow", "Action": list(rights), "Resource": resource} for rights, resource in allowed
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _iam(admin: Bucket) -> Any:
    name = urlsplit(admin.place.endpoint).hostname or ""
    amazon = name.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return admin.client("iam", None if amazon else admin.place.endpoint)


def _user(admin: Bucket, iam: Any, name: str) -> None:
    """Raises ClientError where there is no IAM, or it is not for this credential."""
    try:
        with reachable(admin.place):
            iam.create_user(UserName=name)
    except ClientError as error:
        if code(error) != "EntityAlreadyExists":
            raise


def _by_hand(admin: Bucket, said: str) -> str:
    return (
        f"backup: {admin.place.host} makes no key for the host with this credential ({said}): make one in its console, and "
        f"give it as BACKUP_ACCESS_KEY and BACKUP_SECRET_KEY in the environment. Its rights: {policy(admin.place.bucket)}"
    )

"""What a bucket of backups has to be: versioned, locked for a month, and freed of what the lock has let go of."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from tasks.clients.bucket import Bucket, code, denied, foreseen
from tasks.run import Refused

# Days in which nobody deletes a version, whoever asks; what pgBackRest and restic keep longer is kept by the host's key, which
# may delete none either.
DAYS = 30
# Everything that is ever stored is below one of these.
FOLDERS = frozenset({"pg/", "files/", "recovery/", "trial/"})
_RULE = {
    "ID": "smarteros",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": DAYS + 1},
    "Expiration": {"ExpiredObjectDeleteMarker": True},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}


def converged(admin: Bucket) -> Iterator[str]:
    """Brings the bucket there, with a line for each thing that was changed. Raises Refused, also for somebody else's bucket."""
    with foreseen(admin.place, f"setting up the bucket {admin.place.bucket}"):
        if _there(admin):
            _refuse_foreign(admin)
        else:
            _make(admin)
            yield f"the bucket {admin.place.bucket} is made"
        yield from _versions(admin)
        yield from _lock(admin)
        yield from _lifecycle(admin)


def locked(any_key: Bucket) -> int:
    """Days for which each version is locked; 0: it is not. Raises Refused."""
    with foreseen(any_key.place, "asking for its Object Lock"):
        return _days(_asked(any_key))


def versioned(any_key: Bucket) -> bool:
    """Whether what is overwritten or deleted stays as a version. Raises Refused."""
    with foreseen(any_key.place, "asking for its versions"):
        return any_key.call("get_bucket_versioning").get("Status") == "Enabled"


def backups(any_key: Bucket) -> bool:
    """Whether there is anything of a kit's in it. Raises Refused."""
    with foreseen(any_key.place, "listing"):
        return bool(any_key.folders() - {"trial/"})


def _there(admin: Bucket) -> bool:
    try:
        admin.call("head_bucket")
    except ClientError as error:
        if code(error) in ("404", "NoSuchBucket"):
            return False
        raise
    return True


def _refuse_foreign(admin: Bucket) -> None:
    others = sorted(admin.folders() - FOLDERS)
    if others:
        raise Refused(
            f"backup.bucket: {admin.place.bucket} holds other things ({', '.join(others[:3])}), whose versions a rule of ours "
            "would remove: name a bucket that is for these backups alone"
        )


def _make(admin: Bucket) -> None:
    region = admin.place.region
    # Amazon takes its first region's name only where it is not said.
    where: dict[str, Any] = {}
    if region not in ("us-east-1", "auto"):
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        admin.call("create_bucket", ObjectLockEnabledForBucket=True, **where)
    except ClientError as error:
        if denied(error) or code(error).startswith("Bucket"):
            raise
        admin.call("create_bucket", **where)  # a server without locks, which is said below


def _versions(admin: Bucket) -> Iterator[str]:
    if admin.call("get_bucket_versioning").get("Status") == "Enabled":
        return
    try:
        admin.call("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    except ClientError as error:
        if denied(error):
            raise
        return
    yield "it keeps versions of what is overwritten or deleted"


def _lock(admin: Bucket) -> Iterator[str]:
    if _days(_asked(admin)) >= DAYS:
        return
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": DAYS}}
    wanted = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    try:
        admin.call("put_object_lock_configuration", ObjectLockConfiguration=wanted)
    except ClientError as error:
        if denied(error):
            raise
        return
    yield f"nobody deletes a version of it for {DAYS} days, whoever asks"


def _asked(any_key: Bucket) -> dict[str, Any]:
    """Empty where there is no lock, or no such thing as one."""
    try:
        found: dict[str, Any] = any_key.call("get_object_lock_configuration")["ObjectLockConfiguration"]
    except (ClientError, KeyError) as error:
        if isinstance(error, ClientError) and denied(error):
            raise
        return {}
    return found


def _days(lock: dict[str, Any]) -> int:
    """GOVERNANCE does not count: an administrator's key opens it."""
    kept = lock.get("Rule", {}).get("DefaultRetention", {})
    if lock.get("ObjectLockEnabled") != "Enabled" or kept.get("Mode") != "COMPLIANCE":
        return 0
    return int(kept.get("Days", 0)) + 365 * int(kept.get("Years", 0))


def _lifecycle(admin: Bucket) -> Iterator[str]:
    """Ours beside what others have written there."""
    try:
        rules = admin.call("get_bucket_lifecycle_configuration").get("Rules", [])
    except ClientError as error:
        if denied(error):
            raise
        rules = []
    if any(_ours(rule) for rule in rules):
        return
    kept = [rule for rule in rules if rule.get("ID") != _RULE["ID"]]
    try:
        admin.call(
            "put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [*kept, dict(_RULE)]}
        )
    except ClientError as error:
        if denied(error):
            raise
        return
    yield f"versions go {DAYS + 1} days after they were overwritten or deleted"


def _ours(rule: dict[str, Any]) -> bool:
    """By what counts: servers give a rule back in words of their own."""
    after = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
    return (rule.get("ID"), rule.get("Status"), after) == (_RULE["ID"], "Enabled", DAYS + 1)


def remarks(admin: Bucket) -> Iterator[str]:
    """What is lost where the server cannot do all of it."""
    name = admin.place.host
    if not versioned(admin):
        yield (
            f"{name} keeps no versions: who takes over the host can overwrite and delete every backup. Choose a server with "
            "versions and Object Lock, or copy the bucket elsewhere with another credential"
        )
    elif not locked(admin):
        yield (
            f"{name} has no Object Lock for this bucket: only the rights of keys protect its versions, and an administrator's "
            "key deletes every backup. Choose a server that has it, or make a new bucket, where an old one cannot get it"
        )

"""The trial of the host's key: it does what backups need, and is refused what would destroy them."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from tasks.clients import bucket_rules
from tasks.clients.bucket import Bucket, code, denied, foreseen, reachable
from tasks.run import Refused

# How long a key that was just made may be unknown: Amazon says some seconds.
_PATIENCE = 60.0
# Of the version whose lock has ended before it is tried.
_SHORT = 2


def tried(admin: Bucket, host: Bucket) -> Iterator[str]:
    """A line for what the key may and should better not. Raises Refused where it cannot back up, or could destroy backups."""
    key, text = f"trial/{os.urandom(8).hex()}", os.urandom(64)
    version = _stored(host, key, text)
    _read_back(host, key, text)
    # Locks and versions first: what is tried later finds less that could be lost.
    _unlocks(admin, host)
    if bucket_rules.versioned(admin):
        yield from _deletes(admin, host, key, version, text)
        yield from _deletes_unlocked(admin, host, key)
    yield from _rules(admin, host)
    _removes(admin, host)
    with foreseen(host.place, "deleting an object with the host's key"):
        for each in host.keys("trial/"):  # and what a run that was cut short has left
            host.call("delete_object", Key=each)


def _stored(host: Bucket, key: str, text: bytes) -> str:
    deadline = time.monotonic() + _PATIENCE
    with foreseen(host.place, "storing an object with the host's key"):
        while True:
            try:
                return host.put(key, text)
            except ClientError as error:
                new = denied(error) or code(error) in ("InvalidAccessKeyId", "SignatureDoesNotMatch")
                if not new or time.monotonic() > deadline:
                    raise
            time.sleep(1)


def _read_back(host: Bucket, key: str, text: bytes) -> None:
    with foreseen(host.place, "listing and reading with the host's key"):
        if key not in host.keys(key) or host.get(key) != text:
            raise Refused(f"backup: what was stored at {host.place.host} does not come back as it was")


def _accepted(host: Bucket, name: str, **options: Any) -> bool:
    """Whether the server does it for that key."""
    with reachable(host.place):
        try:
            host.call(name, **options)
        except ClientError:
            return False
        return True


def _deletes(admin: Bucket, host: Bucket, key: str, version: str, text: bytes) -> Iterator[str]:
    """Judged by what is there afterwards, whatever the server said."""
    for bypass in ({}, {"BypassGovernanceRetention": True}):
        _accepted(host, "delete_object", Key=key, VersionId=version, **bypass)
    try:
        with reachable(admin.place):
            kept = admin.get(key, version) == text
    except ClientError:
        kept = False
    if kept:
        return
    if bucket_rules.locked(admin):
        raise Refused(
            f"backup: {host.place.host} let the host's key delete a locked version: its lock is none"
        )
    yield "the host's key deletes versions: who takes over the host can delete every backup"


def _deletes_unlocked(admin: Bucket, host: Bucket, key: str) -> Iterator[str]:
    """Whether the lock alone refuses it: then nothing does once it has ended."""
    if not bucket_rules.locked(admin):
        return
    until = datetime.now(UTC) + timedelta(seconds=_SHORT)
    short = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    with foreseen(admin.place, "storing an object with a lock of its own"):
        version = admin.put(f"{key}-short", b"", **short)
    time.sleep(_SHORT + 1)
    if _accepted(host, "delete_object", Key=f"{key}-short", VersionId=version):
        yield (
            f"the host's key may delete versions older than {bucket_rules.locked(admin)} days, as only their lock refuses it: a "
            "key without the right s3:DeleteObjectVersion protects the older ones, too"
        )
    else:
        with foreseen(admin.place, "deleting the trial"):
            admin.call("delete_object", Key=f"{key}-short", VersionId=version)


def _unlocks(admin: Bucket, host: Bucket) -> None:
    """With what stands there already: a key that may not is refused, and one that may has changed nothing."""
    if not bucket_rules.locked(admin):
        return
    with foreseen(admin.place, "asking for its Object Lock"):
        lock = admin.call("get_object_lock_configuration")["ObjectLockConfiguration"]
    if _accepted(host, "put_object_lock_configuration", ObjectLockConfiguration=lock):
        raise Refused(_too_much(host, "changes the bucket's lock"))
    if _accepted(host, "put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}):
        with foreseen(admin.place, "turning versions on again"):
            admin.call("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
        raise Refused(_too_much(host, "turns its versions off"))


def _rules(admin: Bucket, host: Bucket) -> Iterator[str]:
    with reachable(admin.place):
        try:
            rules = admin.call("get_bucket_lifecycle_configuration")["Rules"]
        except (ClientError, KeyError):
            return
    if _accepted(host, "put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": rules}):
        yield (
            "the host's key may change the bucket's lifecycle, which can let versions go once their lock has ended: a key without "
            "the right s3:PutLifecycleConfiguration could not"
        )


def _removes(admin: Bucket, host: Bucket) -> None:
    """Only where nothing but trials could be lost."""
    with foreseen(admin.place, "listing"):
        if admin.folders() - {"trial/"}:
            return
    if _accepted(host, "delete_bucket"):
        raise Refused(_too_much(host, "deletes the bucket"))


def _too_much(host: Bucket, what: str) -> str:
    return (
        f"backup: the host's key {host.access_key} {what}: give it the rights to list the bucket and to get, put and delete "
        "objects in it, and no others"
    )

"""Rewind: a bucket with versions as it was at a time, whatever has been deleted or written over since.

Nothing is destroyed for that: what is put back is a copy of its version, what goes gets a mark.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.clients.bucket import Bucket, foreseen
from tasks.run import Refused

# restic's: one of then would stop whoever comes now.
_LOCKS = "files/locks/"
_AT_ONCE = 8


@dataclass(frozen=True)
class Difference:
    """An object that is not as it was. version: which one it was; empty where it was not there."""

    key: str
    version: str


def differences(store: Bucket, moment: datetime) -> list[Difference]:
    """All of them, by key. moment: with a zone. Raises Refused where the server lists no versions."""
    with foreseen(store.place, "listing versions"):
        newest: dict[str, dict[str, Any]] = {}
        then: dict[str, dict[str, Any]] = {}
        for item in _versions(store):
            key = item["Key"]
            if item["IsLatest"]:
                newest[key] = item
            if item["LastModified"] <= moment and (key not in then or _order(then[key]) < _order(item)):
                then[key] = item
    return [
        Difference(key, _version(then.get(key)))
        for key, item in sorted(newest.items())
        if _what(then.get(key)) != _what(item) and not key.startswith(_LOCKS)
    ]


def first(store: Bucket) -> datetime:
    """When the first of all that is there was written. Raises Refused, also where there is nothing."""
    with foreseen(store.place, "listing versions"):
        times: list[datetime] = [item["LastModified"] for item in _versions(store) if "deleted" not in item]
    if not times:
        raise Refused(f"the bucket {store.place.bucket} holds nothing")
    return min(times)


def put_back(store: Bucket, found: list[Difference], progress: Callable[[int], None]) -> None:
    """Each as it was, several at once. progress: is told how many are done. Raises Refused."""

    def one(item: Difference) -> None:
        if item.version:
            source = {"Bucket": store.place.bucket, "Key": item.key, "VersionId": item.version}
            # A copy of an object to itself has to change something.
            store.call("copy_object", Key=item.key, CopySource=source, MetadataDirective="REPLACE")
        else:
            store.call("delete_object", Key=item.key)

    with foreseen(store.place, "putting a version back"), ThreadPoolExecutor(_AT_ONCE) as pool:
        for done, _ in enumerate(pool.map(one, found), 1):
            progress(done)


def _versions(store: Bucket) -> Iterator[dict[str, Any]]:
    """Those of all objects, marks of what was deleted among them."""
    for page in store.s3.get_paginator("list_object_versions").paginate(Bucket=store.place.bucket):
        yield from page.get("Versions", [])
        yield from ({**item, "deleted": True} for item in page.get("DeleteMarkers", []))


def _order(item: dict[str, Any]) -> tuple[datetime, bool]:
    """Where a server knows seconds alone, what was there counts rather than its mark: too much does no harm."""
    return item["LastModified"], bool(item["IsLatest"])


def _version(item: dict[str, Any] | None) -> str:
    """Empty where there was nothing."""
    return "" if item is None or "deleted" in item else str(item["VersionId"])


def _what(item: dict[str, Any] | None) -> tuple[str, int] | None:
    """Its sum and size; None where there was nothing. One that came in parts has another sum once it is copied."""
    return (str(item["ETag"]), int(item["Size"])) if item and "deleted" not in item else None


__all__ = ["Difference", "differences", "first", "put_back"]

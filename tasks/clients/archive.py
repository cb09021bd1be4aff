"""The archive: which backups of Postgres a bucket has, up to when its log goes, and how large it is, read with the kit alone.

Each recovery begins a new line of the log. What was written to the one before it after it was left is still there, and is had again
by a time at which that was the last line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from tasks.clients import openings
from tasks.clients.lazily import lazily
from tasks.facts.line import Line, line_of
from tasks.facts.restorable import BackedUp
from tasks.run import Refused

if TYPE_CHECKING:
    from tasks.clients import bucket
else:
    bucket = lazily("tasks.clients.bucket")

# Below the log's folder: the server's version and the number of its cluster, then the line.
_HISTORY = re.compile(re.escape(openings.PGBACKREST_LOG) + r"[^/]+-(\d+)/([0-9A-F]{8})\.history")


@dataclass(frozen=True)
class Archive:
    """As it was at a time. backups: from which this line's log leads there, the oldest first. size: bytes of all databases at the
    last one. newest: when the log was written to last; clock: when that was asked, both by the server's clock, 0 where there is none.
    """

    backups: tuple[BackedUp, ...] = ()
    line: int = 1
    size: int = 0
    newest: float = 0
    clock: float = 0


def read(store: bucket.Bucket, passphrase: str, wanted: float | None = None) -> Archive:
    """As it was at that time, else as it is. Raises Refused where it does not open, or cannot be read."""
    with bucket.foreseen(store.place, "reading the archive"):
        times, clock = _written(store)
        newest = max(times.values(), default=0)
        if openings.PGBACKREST_BACKUPS not in store.keys(openings.PGBACKREST_BACKUPS):
            return Archive(newest=newest, clock=clock)
        try:
            there = _line(store, passphrase, times, wanted)
            items = _backups(openings.pgbackrest(passphrase, store.get(openings.PGBACKREST_BACKUPS)))
            leading = [
                item
                for item in items
                if there.goes_on_from(item["backup-archive-stop"], item["backup-lsn-stop"])
            ]
        except openings.Closed as error:
            raise Refused(f"backup: {error}: it was made with another kit, or is damaged") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(
                f"backup: what pgBackRest has noted of its backups cannot be read ({error})"
            ) from None
    size = int(leading[-1]["backup-info-size"]) if leading else 0
    backups = tuple(BackedUp(item["label"], _stop(item)) for item in leading)
    return Archive(backups, there.number, size, newest, clock)


def _written(store: bucket.Bucket) -> tuple[dict[str, float], float]:
    """When each object of the log was stored, and when that was asked."""
    found: dict[str, float] = {}
    clock = 0.0
    pages = store.s3.get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=store.place.bucket, Prefix=openings.PGBACKREST_LOG):
        found |= {item["Key"]: item["LastModified"].timestamp() for item in page.get("Contents", [])}
        clock = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
    return found, clock


def _line(store: bucket.Bucket, passphrase: str, times: Mapping[str, float], wanted: float | None) -> Line:
    """The last one of that time."""
    lines = [(int(found[1]), int(found[2], 16), key) for key in times if (found := _HISTORY.fullmatch(key))]
    there = [item for item in lines if wanted is None or times[item[2]] <= wanted]
    if not there:
        return Line()
    _, number, key = max(there)
    info = openings.pgbackrest(passphrase, store.get(openings.PGBACKREST_INFO))
    [word] = [json.loads(said) for told, said in _section(info, "cipher") if told == "cipher-pass"]
    return line_of(number, openings.decrypted(word, store.get(key)).decode(errors="replace"))


def _backups(text: str) -> list[dict[str, Any]]:
    """Those without errors, the oldest first."""
    found = [json.loads(said) | {"label": label} for label, said in _section(text, "backup:current")]
    return sorted((item for item in found if not item.get("backup-error")), key=_stop)


def _section(text: str, name: str) -> Iterator[tuple[str, str]]:
    """Its lines, each a name and JSON."""
    _, _, rest = text.partition(f"[{name}]\n")
    for line in takewhile(lambda line: not line.startswith("["), rest.splitlines()):
        told, equals, said = line.partition("=")
        if equals:
            yield told, said


def _stop(item: Mapping[str, Any]) -> float:
    return float(item["backup-timestamp-stop"])

"""The archive: which backups of Postgres a bucket has, to which times they lead, and how large it is, read with the kit alone.

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
from tasks.facts.spans import Span, leading, runs, spans, whole
from tasks.run import Refused

if TYPE_CHECKING:
    from tasks.clients import bucket
else:
    bucket = lazily("tasks.clients.bucket")

# Below the log's folder: the server's version and the number of its cluster, then the line.
_HISTORY = re.compile(re.escape(openings.PGBACKREST_LOG) + r"[^/]+-(\d+)/([0-9A-F]{8})\.history")
_SEGMENT = re.compile(re.escape(openings.PGBACKREST_LOG) + r".+/([0-9A-F]{24})-[^/]*")
# What the nightly check of the host has found damaged (templates/backup/check.sh.j2): segments and backups.
DAMAGED = "recovery/damaged"
_DAMAGED = re.compile(r"damaged ([0-9A-F]{24}|\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?)")


@dataclass(frozen=True)
class Archive:
    """As it was at a time. backups: those that are whole, from which this line's log leads there, the oldest first. spans: the times
    that they lead to. size: bytes of all databases at the last one. until: when the last of the line's log came. newest: when the bucket's
    log was written to last; clock: when that was asked. All by the server's clock, 0 where there is none. damaged: what counts as missing.
    """

    backups: tuple[BackedUp, ...] = ()
    spans: tuple[Span, ...] = ()
    line: int = 1
    size: int = 0
    until: float = 0
    newest: float = 0
    clock: float = 0
    damaged: tuple[str, ...] = ()


def read(store: bucket.Bucket, passphrase: str, wanted: float | None = None) -> Archive:
    """As it was at that time, else as it is. Raises Refused where it does not open, or cannot be read."""
    with bucket.foreseen(store.place, "reading the archive"):
        times, clock = _written(store)
        newest = max(times.values(), default=0)
        if openings.PGBACKREST_BACKUPS not in store.keys(openings.PGBACKREST_BACKUPS):
            return Archive(newest=newest, clock=clock)
        damaged = _damaged(store)
        try:
            there = _line(store, passphrase, times, wanted)
            items = [
                item
                for item in _backups(openings.pgbackrest(passphrase, store.get(openings.PGBACKREST_BACKUPS)))
                if there.goes_on_from(item["archive"]["stop"], item["lsn"])
            ]
        except openings.Closed as error:
            raise Refused(f"backup: {error}: it was made with another kit, or is damaged") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(
                f"backup: what pgBackRest has noted of its backups cannot be read ({error})"
            ) from None
        log = _log(store, times, there, damaged)
    return Archive(
        backups=tuple(BackedUp(item["label"], _stop(item)) for item in items if whole(item, damaged)),
        spans=spans([{"backup": items}], " ".join(log), damaged) if log else (),
        line=there.number,
        size=items[-1]["size"] if items else 0,
        until=float(log[-1].split()[2]) if log else 0,
        newest=newest,
        clock=clock,
        damaged=tuple(sorted(damaged)),
    )


def _damaged(store: bucket.Bucket) -> set[str]:
    """Segments and backups; none where nobody has looked yet."""
    texts = [store.get(key).decode(errors="replace") for key in store.keys(DAMAGED) if key == DAMAGED]
    lines = (_DAMAGED.fullmatch(line) for text in texts for line in text.splitlines())
    return {found[1] for found in lines if found}


def _log(store: bucket.Bucket, times: Mapping[str, float], there: Line, damaged: set[str]) -> list[str]:
    """What of the line's log follows on itself, in the words of backup/log.sh."""
    keys = {found[1]: key for key in times if (found := _SEGMENT.fullmatch(key))}
    followed = runs(leading(keys.keys() - damaged, there))
    return [f"{first} {last} {store.since(keys[last])} 0" for first, last in followed]


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
    there = [item for item in lines if wanted is None or store.since(item[2]) <= wanted]
    if not there:
        return Line()
    _, number, key = max(there)
    info = openings.pgbackrest(passphrase, store.get(openings.PGBACKREST_INFO))
    [word] = [json.loads(said) for told, said in _section(info, "cipher") if told == "cipher-pass"]
    return line_of(number, openings.decrypted(word, store.get(key)).decode(errors="replace"))


def _backups(text: str) -> list[dict[str, Any]]:
    """Those without errors, the oldest first, as `pgbackrest info` calls what stands there."""
    found = [
        {
            "label": label,
            "archive": {"start": item["backup-archive-start"], "stop": item["backup-archive-stop"]},
            "lsn": item["backup-lsn-stop"],
            "reference": item.get("backup-reference"),
            "size": int(item["backup-info-size"]),
            "timestamp": {"stop": float(item["backup-timestamp-stop"])},
        }
        for label, said in _section(text, "backup:current")
        if not (item := json.loads(said)).get("backup-error")
    ]
    return sorted(found, key=_stop)


def _section(text: str, name: str) -> Iterator[tuple[str, str]]:
    """Its lines, each a name and JSON."""
    _, _, rest = text.partition(f"[{name}]\n")
    for line in takewhile(lambda line: not line.startswith("["), rest.splitlines()):
        told, equals, said = line.partition("=")
        if equals:
            yield told, said


def _stop(item: Mapping[str, Any]) -> float:
    return float(item["timestamp"]["stop"])

"""Spans: the times to any second of which databases come back, each from a backup on as far as the log follows on itself."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any


@dataclass(frozen=True)
class Span:
    """Seconds since 1970. until: when the last of its log came into the bucket, inf where more of it comes."""

    since: float
    until: float = inf


def spans(stanzas: Sequence[Mapping[str, Any]], log: str, damaged: Collection[str]) -> tuple[Span, ...]:
    """From what pgBackRest says, what backup/log.sh does (four words for each run; empty where it is not known), and what the nightly
    check has found damaged. The oldest first. Raises ValueError, KeyError or TypeError for anything else.
    """
    backups = [item for stanza in stanzas for item in stanza.get("backup", ()) if whole(item, damaged)]
    runs = list(zip(*[iter(log.split())] * 4, strict=True)) or [("", "G", "inf", "0")]
    found = []
    for first, last, came, _ in runs:
        ends = [
            float(item["timestamp"]["stop"])
            for item in backups
            if first <= item["archive"]["start"] and item["archive"]["stop"] <= last
        ]
        if ends:
            found.append(Span(min(ends), inf if last == runs[-1][1] else float(came)))
    return tuple(found)


def whole(item: Mapping[str, Any], damaged: Collection[str]) -> bool:
    """Whether it, and each backup that it needs, can be restored."""
    return not item.get("error") and not {item["label"], *(item.get("reference") or ())} & {*damaged}


def gaps(found: Sequence[Span]) -> Iterator[tuple[float, float]]:
    """After and before which times nothing comes back."""
    for before, after in pairwise(found):
        if before.until < after.since:
            yield before.until, after.since

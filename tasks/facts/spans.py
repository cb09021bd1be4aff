"""Spans: the times to any second of which databases come back, each from a backup on as far as the log follows on itself."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from math import inf
from typing import Any

from tasks.facts.line import Line


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
    """After and before which times nothing comes back; inf where nothing since does."""
    for before, after in pairwise((*found, Span(inf))):
        if before.until < after.since:
            yield before.until, after.since


def leading(segments: Iterable[str], there: Line) -> list[str]:
    """Those of the log that lead to where a line is: what an earlier one went on with after it was left is another's."""
    found: list[str] = []
    for number in sorted({*there.left, there.number}):
        own = sorted(name for name in segments if int(name[:8], 16) == number)
        found = [name for name in found if not own or name[8:] <= own[0][8:]] + own
    return found


def runs(segments: Sequence[str]) -> list[tuple[str, str]]:
    """What of them follows on itself, each from its first to its last, as backup/log.sh tells it. A log of 4 GiB has as many as the
    largest number in one shows; only where one ends exactly there, and a gap goes to the next one's beginning, it is not seen.
    """
    many = 1 << max((int(name[16:], 16) for name in segments), default=0).bit_length()

    def place(name: str) -> int:
        return int(name[8:16], 16) * many + int(name[16:], 16)

    broken = [(last, first) for last, first in pairwise(segments) if place(first) > place(last) + 1]
    ends = [*segments[:1], *chain.from_iterable(broken), *segments[-1:]]
    return list(zip(ends[::2], ends[1::2], strict=True))

"""Restoring: from a time to what of the bucket brings a service, or the host, back to it, or why nothing does. Pure."""

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tasks.clients.archive import Archive
from tasks.facts.restorable import BackedUp, Restorable, Snapshot
from tasks.facts.spans import Span, gaps
from tasks.model.catalogue import Service
from tasks.model.targets import target
from tasks.run import Refused

_LIKE = "like TO='2026-11-26 19:59:49Z'"
# What a copy takes beside the bytes that are counted: indexes that grow, the log that is replayed.
_SPARE, _LOG = 1.3, 512 * 1024**2
_KEPT = re.compile(r"_before_\d{8}_\d{6}$")


@dataclass(frozen=True)
class Choice:
    """What is taken. label: pgBackRest's backup. before, after: restic's snapshots, the last one by then and the first since.
    copied: when the last one by then was made; 0 where there is none.
    """

    label: str = ""
    before: str = ""
    after: str = ""
    copied: float = field(default=0, compare=False)


@dataclass(frozen=True)
class Recovery:
    """What a host comes back from. to: the time as Postgres reads it, empty for the newest. label: pgBackRest's backup. line: of
    its log. size: bytes of all databases.
    """

    to: str = ""
    label: str = ""
    line: int = 1
    size: int = 0


def moment(text: str) -> datetime:
    """The time that TO names. Raises Refused for one that could be several."""
    if not text.strip():
        raise Refused(f"say to which time: {_LIKE} ({target('backups')} lists what there is)")
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Refused(f"TO={text!r} is no time: write it {_LIKE}") from None
    if found.tzinfo is None:
        raise Refused(
            f"TO={text!r} names no zone: add Z for UTC, or an offset as in 2026-11-26 16:59:49-03:00"
        )
    return found.astimezone(UTC)


def written(time: datetime) -> str:
    """The time as Postgres reads it, to the microsecond. Pure."""
    return time.strftime("%Y-%m-%d %H:%M:%S.%f+00")


def said(seconds: float) -> str:
    """The time as people read it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def chosen(service: Service, time: datetime, found: Restorable) -> Choice:
    """What brings the service back to that time. Raises Refused, with what there is."""
    if found.wrong:
        raise Refused(unreadable(found.wrong))
    wanted = time.timestamp()
    if wanted > found.clock:
        raise Refused(f"TO={said(wanted)} has not come yet: {_what_there_is(service, found)}")
    before, after = around(service.name, found.snapshots, wanted)
    label = _last(found.backups, wanted) if service.databases else ""
    if not (label if service.databases else before):
        raise Refused(f"TO={said(wanted)} is earlier than the oldest: {_what_there_is(service, found)}")
    if service.databases:
        _no_gap(wanted, found.spans)
    return Choice(
        label, before.name if before else "", after.name if after else "", before.time if before else 0
    )


def unreadable(wrong: Iterable[str]) -> str:
    """What the host says of a bucket that it cannot read, with what to do."""
    return f"the bucket cannot be read ({'; '.join(wrong)}): {target('bucket KIT=…')} says whether its server answers, and tries the host's key"


def around(
    name: str, snapshots: Iterable[Snapshot], wanted: float = math.inf
) -> tuple[Snapshot | None, Snapshot | None]:
    """The service's last snapshot by then, and its first one since."""
    mine = sorted((item for item in snapshots if item.service == name), key=_time)
    before = [item for item in mine if item.time <= wanted]
    after = mine[len(before) :]
    return before[-1] if before else None, after[0] if after else None


def _no_gap(wanted: float, found: Sequence[Span]) -> None:
    for last, first in gaps(found):
        if last < wanted <= first:
            later = f", or one after {said(first)}" if first < math.inf else ", behind which no backup is yet"
            raise Refused(
                f"TO={said(wanted)} lies in a gap of Postgres' log: choose a time before {said(last)}{later}"
            )


def _last(backups: Iterable[BackedUp], wanted: float) -> str:
    """The last that was whole before; empty where none was."""
    whole = [item for item in backups if item.stop < wanted]
    return max(whole, key=_stop).label if whole else ""


def recovery(time: datetime | None, found: Archive) -> Recovery:
    """What brings the host back as it was at that time, else as it was last. Raises Refused, with what there is."""
    if time is None:
        _newest(found)
        return Recovery("", _last(found.backups, math.inf), found.line, found.size)
    wanted = time.timestamp()
    if not found.spans:
        raise Refused(
            f"TO={said(wanted)}: the bucket has no whole backup of Postgres of that time, and so nothing to go back to{_repaired(found)}"
        )
    there = f"there is any second from {said(found.spans[0].since)} to {said(min(found.spans[-1].until, found.until))}"
    if wanted <= found.spans[0].since:
        raise Refused(f"TO={said(wanted)} is earlier than the oldest: {there}{_repaired(found)}")
    if wanted > found.until:
        raise Refused(f"TO={said(wanted)} is later than the newest: {there}")
    try:
        _no_gap(wanted, found.spans)
    except Refused as error:
        raise Refused(f"{error}{_repaired(found)}") from None
    return Recovery(written(time), _last(found.backups, wanted), found.line, found.size)


def _newest(found: Archive) -> None:
    """Raises Refused where what the log ends with would not come back: nobody takes less for all."""
    if not found.spans:
        if found.backups or found.damaged:
            raise Refused(
                f"no backup of Postgres in the bucket is whole and has the log that belongs to it{_repaired(found)}"
            )
        return
    last = found.spans[-1].until
    if last < math.inf:
        raise Refused(
            f"what was written from {said(last)} to {said(found.until)} does not come back: Postgres' log has a gap there, and no backup "
            f"since{_repaired(found)}; or take what there is, with TO='{said(last)}'"
        )


def _repaired(found: Archive) -> str:
    """What becomes of what is gone."""
    bad = f" ({', '.join(found.damaged[:4])} of it: so the host's nightly check)" if found.damaged else ""
    return f". What was deleted or damaged{bad} in the last 30 days comes back with {target('bucket-rewind KIT=… TO=…')}"


def _stop(item: BackedUp) -> float:
    return item.stop


def _time(item: Snapshot) -> float:
    return item.time


def _what_there_is(service: Service, found: Restorable) -> str:
    if service.databases and found.backups:
        return _span(found.backups, found.newest)
    times = [item.time for item in found.snapshots if item.service == service.name]
    if times and not service.databases:
        return f"there are {len(times)} copies, from {said(min(times))} to {said(max(times))}"
    return f"nothing is backed up yet: {target('backup')}, then {target('backups')}"


def _span(backups: Iterable[BackedUp], newest: float) -> str:
    oldest = min(item.stop for item in backups)
    return f"there is any second from {said(oldest)} to {said(newest or oldest)}"


def room(found: Restorable, *, files: bool) -> None:
    """A copy beside the server and one in it, and the files once more. Raises Refused where the disk has not that much."""
    needed = int((2 * sum(found.databases.values()) + (found.files if files else 0)) * _SPARE) + _LOG
    if needed > found.free:
        raise Refused(
            f"too little disk: a restore takes {needed >> 20} MB for a while, and {found.free >> 20} MB are free where Docker "
            "keeps its data: `docker system df` says what takes it"
        )


def included(
    service: Service, there: Collection[str], others: Iterable[Service], now: Collection[str] = ()
) -> list[str]:
    """The databases that are taken out of the archive: its own, those that its role has now, be it that somebody has made them for it,
    and where it makes some, all that are nobody else's.
    """
    own = {item.name for item in service.databases} | {*now}
    if any(item.create_databases for item in service.databases):
        theirs = {item.name for each in others if each.name != service.name for item in each.databases}
        own |= {name for name in there if name not in theirs | {"postgres"} and not _KEPT.search(name)}
    return sorted(own & {*there})

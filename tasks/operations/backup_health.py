"""Backup health: what of the backup is not as it should be, with what to do; and how far back a restore can go. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import inf

from tasks.facts.backups import Backups, Progress
from tasks.facts.spans import gaps
from tasks.model.catalogue import Service
from tasks.model.targets import target
from tasks.model.words import ago
from tasks.rendering.backup_files import Part

_LOG_SECONDS = 120
VERIFIED_DAYS = 8
_LOST_SECONDS = 60


def problems(found: Progress, parts: Iterable[Part], now: float) -> Iterator[str]:
    """Each line for make status."""
    if not found.prepared:
        yield f"backup: is not set up on this host yet: {target('deploy')} does it"
        return
    if found.stopped:
        yield f"backup: {', '.join(found.stopped)}: their timers are stopped, so nothing of theirs is done: {target('deploy')} starts them"
    for part in parts:
        last = found.succeeded.get(part.name, 0)
        more = f"`journalctl -u {part.unit}` says more; it is tried again {part.often}"
        named = f"backup: {part.name} ({part.what})"
        if part.name in found.failed:
            yield f"{named} has failed: {found.failed[part.name]}: {more}"
        elif (silent := now - (last or found.prepared)) > part.stale:
            yield f"{named} has not succeeded for {ago(int(silent))}: {more}"
        elif part.name == "heartbeat" and (old := now - (found.until or found.prepared)) > _LOG_SECONDS:
            yield (
                f"backup: what was written to Postgres in the last {ago(int(old))} is not in the bucket: `docker logs postgres` "
                "says why; services go on, and it leaves once the bucket can be reached"
            )


def drilled(found: Progress) -> Iterator[str]:
    """What the last drill has measured and should not have, and restores that somebody has to end."""
    if found.rpo > _LOST_SECONDS:
        yield (
            f"backup: a loss at the moment of the last drill would have been one of {found.rpo:.0f} s, and at most {_LOST_SECONDS} are "
            f"meant: `journalctl -u smarteros-heartbeat` says why the log left late; {target('drill')} measures it again"
        )
    yield from cut_short(found.cut)


def cut_short(found: Mapping[str, str]) -> Iterator[str]:
    """What ends each restore that was cut short. found: service → ``to TIME`` or ``undo``."""
    for service, how in sorted(found.items()):
        undone = target(f"restore-undo SERVICE={service}")
        if how == "undo":
            yield f"restore: the undoing of a restore of {service} was cut short, and it may be down: {undone} ends it"
        else:
            ended = target(f"restore SERVICE={service} TO='{how.removeprefix('to ')}'")
            yield (
                f"restore: a restore of {service} was cut short while it came into the place of what ran, and it may be down: "
                f"{ended} ends it; {undone} then brings back what was there before"
            )


def unproven(found: Progress, wanted: Iterable[str], now: float) -> Iterator[str]:
    """Each ``service part`` that no drill has brought back for too long, be it that none ever did."""
    for what in wanted if found.prepared else ():
        last = found.verified.get(what, 0)
        if (old := now - (last or found.prepared)) > VERIFIED_DAYS * 86400:
            said = "the last proven restore of" if last else "there is no proven restore of"
            age = f" is {ago(int(old))} old" if last else f" for {ago(int(old))}"
            yield f"backup: {said} {what}{age}: {target('drill')} tries it now and says what is wrong"


def summary(found: Progress, parts: Iterable[Part], now: float) -> str:
    """One line: how old what is in the bucket is."""
    names = {"heartbeat": found.until} | {
        part.name: found.succeeded.get(part.name, 0) for part in parts if part.name != "heartbeat"
    }
    said = (
        f"{'log' if name == 'heartbeat' else name} {f'{ago(int(now - when))} ago' if when else 'never'}"
        for name, when in names.items()
    )
    return f"backup: {', '.join(said)}"


def table(found: Backups, services: Iterable[Service], parts: Iterable[Part]) -> list[str]:
    """A line for each service: what of it can be had again, from when to when; and what in between cannot."""
    rows = [("SERVICE", "WHAT", "FROM", "UNTIL", "LAST PROVEN RESTORE")]
    names = {part.name for part in parts}
    for service in services:
        for what, first, last in _kept(service, found, names):
            proven = found.progress.verified.get(f"{service.name} {what.split()[0].rstrip(',')}", 0)
            rows.append((service.name, what, _time(first), _time(last), _time(proven)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        *(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ),
        *(
            f"no database comes back to a time {_between(*gap)}: Postgres' log has a gap there"
            for gap in gaps(found.spans)
        ),
    ]


def _between(after: float, before: float) -> str:
    return f"between {_time(after)} and {_time(before)}" if before < inf else f"after {_time(after)}"


def _kept(service: Service, found: Backups, parts: set[str]) -> Iterator[tuple[str, float, float]]:
    """What, since when and until when; 0 where there is nothing."""
    kinds = {item.backup for each in service.containers for item in each.state if item.backup}
    if service.phase == "backup":
        return
    if service.databases and "postgres" in parts:
        first, last = (found.spans[0].since, found.spans[-1].until) if found.spans else (0.0, 0.0)
        yield "database, any second", first, min(last, found.progress.until)
        yield _snapshots("dump", service, found, dump=True)
    for kind in sorted(kinds - {"postgres"}):
        yield _snapshots(
            {"files": "files", "raft": "snapshot", "redis": "file"}[kind], service, found, dump=False
        )


def _snapshots(what: str, service: Service, found: Backups, *, dump: bool) -> tuple[str, float, float]:
    taken = [item.taken for item in found.snapshots if (item.service, item.dump) == (service.name, dump)]
    return f"{what} ({len(taken)})", min(taken, default=0), max(taken, default=0)


def missing(found: Backups, services: Iterable[Service], parts: Iterable[Part]) -> Iterator[str]:
    """What the bucket does not have at all."""
    names = {part.name for part in parts}
    for service in services:
        for what, _, last in _kept(service, found, names):
            if not last:
                yield f"{service.name}: {what.partition(' (')[0]}"


def _time(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if when else "never"

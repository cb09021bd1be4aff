"""Rollback, of data: which databases have other tables by now, what brings them back, and what that costs; said before anybody is asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks import generation, preflight, secrets, vault
from tasks.commands import restore
from tasks.model.catalogue import Service
from tasks.model.effects import Earlier, Lost, Step
from tasks.model.generations import Generation, Generations, moved
from tasks.model.targets import target
from tasks.operations.restoring import said, written
from tasks.preflight import ENDED
from tasks.run import Refused, remember, services, stack


@dataclass(frozen=True)
class Behind:
    """A service whose tables are others than in that generation, or whose restore to then was cut short (cut). point: to when its data can
    go back, just before the next one's images came; None where nothing was noted then, or nothing is backed up.
    """

    service: Service
    point: datetime | None
    cut: bool = False


def behind(found: Generations, item: Generation) -> tuple[Behind, ...]:
    """Each of them."""
    databases = {*moved(item, found.schemas)}
    noted = next((each.point for each in found.all if each.number > item.number and each.point), 0)
    point = datetime.fromtimestamp(noted, UTC) if noted and stack().backup else None
    cut = {name for name, how in found.cut.items() if point and how == f"to {written(point)}"}
    return tuple(
        Behind(each, point, each.name in cut)
        for each in services()
        if each.name in cut or databases & {one.name for one in each.databases}
    )


def told(found: Sequence[Behind], item: Generation, *, data: bool) -> Iterator[str]:
    """What becomes of each service's data."""
    if data and not found:
        names = ", ".join(
            each.name for each in services() if {*item.schemas} & {one.name for one in each.databases}
        )
        yield (
            f"DATA=yes: the tables of {names} are as they were, so no database is restored; "
            if names
            else "DATA=yes: no database was noted then, so none is restored; "
        ) + f"{target('restore SERVICE=… TO=…')} brings rows back{_once(item)}"
    for each in found:
        name = each.service.name
        if data:
            yield f"{name}: its data go back to {_point(each)}, and what was written since goes{_kept(each.service)}"
            continue
        if each.cut:
            again = target(f"rollback TO={item.number} DATA=yes")
            yield f"{name}: a restore of its data to {_point(each)} was cut short: {again} ends it"
            continue
        yield f"{name}: its tables have changed since; its data stay, and its program of then may not take them: {_way(each, item)}"


def refused(found: Sequence[Behind], item: Generation) -> None:
    """Raises Refused where DATA=yes cannot bring all of them back."""
    if lacking := [each for each in found if each.point is None]:
        ways = "; ".join(f"{each.service.name}: {_way(each, item)}" for each in lacking)
        raise Refused(f"DATA=yes: {ways}. Without DATA=yes all else goes back")


def _way(one: Behind, item: Generation) -> str:
    """How its data go back."""
    if one.point:
        return (
            f"{target(f'rollback TO={item.number} DATA=yes')} brings them back as well, to the restore point of {_point(one)}; what was "
            f"written since goes{_kept(one.service)}"
        )
    if stack().backup is None:
        return "nothing is backed up (the setting backup), so no data come back"
    return (
        f"no restore point was made after generation {item.number}; {_restored(one.service, item)} brings them back to when that was noted{_once(item)}, and "
        f"what was written since goes{_kept(one.service)}"
    )


def _restored(service: Service, item: Generation) -> str:
    return target(f"restore SERVICE={service.name} TO='{said(item.time)}'")


def _once(item: Generation) -> str:
    """A restore starts what this machine describes."""
    return f", after the rollback and once your settings are those of generation {item.number}"


def _kept(service: Service) -> str:
    return f" (kept for 7 days: {target(f'restore-undo SERVICE={service.name}')})"


def _point(one: Behind) -> str:
    return said(one.point.timestamp()) if one.point else ""


def steps(found: Sequence[Behind]) -> Iterator[Step]:
    """For the plan. Raises Refused for what the restore would refuse."""
    for each in found:
        if each.point is None:
            continue
        service, databases = each.service, ", ".join(one.name for one in each.service.databases)
        choice = restore.source(service, each.point, restore.restorable(service))
        files = restore.copied(choice, each.point)
        goes = f"database {databases}: goes back to {_point(each)}"
        lost = f"{service.name}: what was written since {_point(each)}{_kept(service)}"
        yield Step(
            _name(service, each.point), (goes, *([files] if files else []), Earlier(service.name), Lost(lost))
        )


def first(points: Sequence[tuple[Service, datetime]]) -> None:
    """A program of then starts on its data of then, or not at all. points: each service and to when."""
    remember(ENDED, lambda: {service.name: f"to {written(time)}" for service, time in points})
    preflight.run()
    generation.run()
    vault.run()
    secrets.run()
    for service, time in points:
        restore.restored(service, time, name=_name(service, time))
        restore.back(service)


def _name(service: Service, time: datetime) -> str:
    return f"Rollback | {service.title}'s data as of {said(time.timestamp())}"

"""Update's course: which tag a service gets, and whether it could be had back as it is now; nothing is changed."""

import os
from collections.abc import Iterator, Mapping

from tasks.commands import restore
from tasks.commands.backup_lines import proven
from tasks.commands.chosen import chosen
from tasks.facts import MachineFact
from tasks.facts.registries import Registered, RegistriesFact, TagsFact
from tasks.facts.restorable import RestorableFact
from tasks.model import image_names, pins, tags, upstream
from tasks.model.catalogue import Container, Service
from tasks.model.targets import target
from tasks.model.words import ago
from tasks.operations import backup_health, points, restoring
from tasks.rendering import render, restore_files
from tasks.rendering.host_files import tools
from tasks.run import Refused, host, known, services, stack
from tasks.services import load

NONE = "none"


def image(choice: str) -> str:
    """By the tag that the settings have. Raises Refused for a service that no update is about."""
    found = {item.name: item for item in load(stack().with_pins(None))}
    there = [item for item in found.values() if not item.main.fork and next(pins.images(item.main), "")]
    if not choice:
        names = ", ".join(item.name for item in there)
        raise Refused(f"say which service it is, as SERVICE=n8n: there are {names}")
    if choice in found and found[choice] not in there:
        raise Refused(
            f"SERVICE={choice}: its image is built from a fork of yours, or named by its digest, in the settings (overrides.{choice}): "
            f"name another there, then {target('deploy')}"
        )
    return next(pins.images(chosen(choice, there, "has an image").main))


def asked(choice: str, name: str, to: str) -> str:
    """The reference that comes of image ``name`` (below). Raises Refused, with what else stands in the way of the service already."""
    try:
        return reference(name, to)
    except Refused as error:
        said = [str(error)]
    try:
        coming_back(tuple(item for item in services() if item.name == choice))
    except Refused as error:
        said += [f"    also: {error}"] if str(error) not in said else []
    raise Refused("\n".join(said))


def reference(name: str, to: str) -> str:
    """``name:tag@digest`` of what comes; empty where there is nothing newer, which is said. to: the tag that was asked for; empty for
    the newest of the same line. Raises Refused.
    """
    runs = pins.led(pins.moved(stack().pins), name)
    repository, tag, _ = image_names.parted(runs)
    there = _there(TagsFact, runs) if not to else Registered()
    whose = upstream.of(name, [each for item in (*services(), *tools(stack())) for each in item.upstream])
    newer = tags.newer(tag, there.tags, whose.line if whose else 0)
    if not to and there.unlisted:
        raise Refused(
            f"{runs}: newer tags are not known, as its registry lists none ({there.unlisted}): name one, as TO={tag}"
        )
    new = to or next(iter(newer.same), tag)
    try:
        wanted = image_names.checked(f"{repository}:{new}")
    except ValueError as error:
        raise Refused(f"TO={new}: {error}") from None
    if tags.later(tag, new):
        raise Refused(
            f"TO={new} is older than {runs}, which runs: what that has stored may be nothing for it. {target('rollback')} leads to an earlier "
            f"generation, DATA=yes with its data"
        )
    digest = known(RegistriesFact, wanted).get(wanted) or Registered()
    if not digest.digest:
        listed = f": {target('outdated')} lists the newer ones that there are" if digest.absent else ""
        raise Refused(f"{wanted}: {digest.why}{listed}")
    before = pins.by_tag(stack().pins).get(runs, "")
    if new == tag and digest.digest == (before or ("" if to else digest.digest)):
        following = (
            f"; next line: {newer.following[-1]}, which TO={newer.following[-1]} takes"
            if newer.following
            else ""
        )
        host().log(
            f"{runs} is the newest of its line, and stands for what it did: nothing is to update{following}"
        )
        return ""
    return f"{wanted}@{digest.digest}"


def _there(fact: type[RegistriesFact], image: str) -> Registered:
    found = known(fact, image)
    if not found:
        raise Refused(
            f"{host().name}: Docker is not there yet, and it is where images come from: {target('deploy')}"
        )
    return found.get(image, Registered(unlisted="nothing was said"))


def pinned(name: str, wanted: str) -> dict[str, str]:
    """The pins with that reference in the place of the settings' image."""
    _, tag, digest = image_names.parted(wanted)
    plain = tag == image_names.parted(name)[1] and pins.whole(stack().pins)
    return {**(stack().pins or {}), name: digest if plain else f"{tag}@{digest}"}


def changed(found: pins.Pins) -> tuple[Service, ...]:
    """The services that then run something else, as they are now."""
    after = {item.name: _run(item) for item in load(stack().with_pins(found))}
    return tuple(item for item in services() if _run(item) != after[item.name])


def _run(service: Service) -> Mapping[str, str]:
    return {item.name: render.image(item) for item in service.containers}


def lasting(service: Service) -> bool:
    """Whether it stores what would be missed."""
    return bool(service.databases) or any(state.backup for item in service.containers for state in item.state)


def coming_back(found: tuple[Service, ...]) -> tuple[str, ...]:
    """Those whose databases a failure brings back. Raises Refused where what is stored could not be had again, unless BACKUP=none."""
    said = os.environ.get("BACKUP", "")
    if said not in ("", NONE):
        raise Refused(f"BACKUP={said}: BACKUP={NONE} goes without a proven backup, and without it none does")
    if not said:
        for service in filter(lasting, found):
            _proven(service)
    databases = (
        {item.name for item in restore_files.restorable(stack(), services()) if item.roles}
        if stack().backup
        else set()
    )
    return tuple(item.name for item in found if item.name in databases and not points.impossible())


def _proven(service: Service) -> None:
    """Raises Refused."""
    without = f"BACKUP={NONE} says that you go without"
    if stack().backup is None or known(MachineFact).backup != render.bucket(stack()):
        raise Refused(
            f"{service.name} stores what no backup has (the setting backup; README, Backups), so nothing would bring it back: {without}"
        )
    roles = tuple(item.name for item in service.databases)
    found = known(RestorableFact, service.name, roles, restore.volumes(service))
    if found.wrong:
        raise Refused(f"{restoring.unreadable(found.wrong)}; {without}")
    if found.unfinished:
        ended = target(f"restore SERVICE={service.name} TO='{found.unfinished}'")
        raise Refused(
            f"a restore of {service.name} to {found.unfinished} was cut short: end that first, {ended}"
        )
    if service.databases:
        if why := points.impossible():
            raise Refused(f"no restore point of {service.name} can be made, since {why}; {without}")
        restoring.room(found, files=False)
    for what in _wanted(service):
        last = found.verified.get(what, 0)
        if found.clock - last > backup_health.VERIFIED_DAYS * 86400:
            age = (
                f"the last proven restore of {what} is {ago(int(found.clock - last))} old"
                if last
                else f"no restore of {what} was proven yet"
            )
            raise Refused(
                f"{age}, and an update may need one: {target(f'drill SERVICE={service.name}')} tries it now; {without}"
            )


def _wanted(service: Service) -> Iterator[str]:
    """``service part`` of what a drill has to have brought back."""
    for what in proven():
        name, _, part = what.partition(" ")
        if name == service.name or (service.name == "postgres" and part == "database"):
            yield what


def arriving(found: tuple[Service, ...]) -> dict[str, Container]:
    """What has to be there of them, by reference."""
    return {render.image(item): item for service in found for item in service.containers}

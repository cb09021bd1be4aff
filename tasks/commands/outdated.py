"""Outdated: newer tags of the images in use, whether the pinned ones are still what their tags stand for, and ends of life.

``pyinfra -y inventories/prod.py tasks.commands.outdated.run`` exits with 0 where there is nothing to do, with 2 where something
is outdated, and with 1 where that is not known. A registry that does not answer is said, and is no failure. Nothing changes. ENDED names
services whose lines are known to have ended, as ENDED=odoo: that is said, and nothing to do.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from pyinfra import logger

from tasks.commands.pin import references
from tasks.connection import exit_code
from tasks.facts.registries import Registered, TagsFact
from tasks.model import image_names, pins, tags, upstream
from tasks.model.catalogue import Service, Upstream
from tasks.model.targets import target
from tasks.rendering.host_files import tools
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack
from tasks.services import load

OUTDATED = 2
# An end is told so long before it comes, as a version has to be chosen, tried and rolled out until then.
_AHEAD = timedelta(days=180)
_SHOWN = 4


@dataclass(frozen=True)
class Line:
    """What there is to say of an image. outdated: whether it is something to do; else it is to be known."""

    text: str
    outdated: bool = False


@dataclass(frozen=True)
class Pin:
    """digest: empty without one. todo: what to do where it is not what the tag stands for; empty where nothing is pinned."""

    digest: str = ""
    todo: str = ""


def run() -> None:
    """The command ``make outdated``."""
    told(name="Outdated | newer tags, pins whose tags have moved on, ends of life")


@operation
def told() -> Commands:
    """Prints what there is of each image, and sees to the exit code."""
    if not executing():
        return
    yield from ()
    accepted = ended(os.environ.get("ENDED", ""))
    bare, own = references(), pins.own(load(stack().with_pins(None)))
    users = {**dict.fromkeys(own, ("by its digest in the settings",)), **bare}
    found = known(TagsFact, *users)
    if users and not found:
        raise Refused(
            f"{host().name}: Docker is not there yet, and it is where images come from: {target('deploy')}"
        )
    locked = pins.by_tag(stack().pins)
    ways = updates()
    upstreams = [item for service in (*services(), *tools(stack())) for item in service.upstream]
    reports = {
        image: list(
            lines(
                image,
                found.get(image, Registered()),
                upstream.of(image, upstreams),
                pin_of(image, locked if image in locked or pins.whole(stack().pins) else None, own),
                today(),
                way=ways.get(image, ""),
                accepted=not accepted.isdisjoint(users[image]),
            )
        )
        for image in users
    }
    for text in shown(reports, users):
        logger.info(text)
    for text in (
        *pins.astray(sys.argv),
        *unknown(services()),
        *unpinned(users, {**locked, **own}, whole=pins.whole(stack().pins)),
    ):
        logger.info(text)
    if any(line.outdated for report in reports.values() for line in report):
        exit_code.leave(OUTDATED)


def today() -> date:
    """By this machine's clock."""
    return date.today()  # noqa: DTZ011  days are enough


def pin_of(image: str, locked: pins.Pins | None, own: pins.Pins) -> Pin:
    """locked: what runs → its digest, None where nothing is pinned; own: what the settings name themselves. Pure."""
    if image in own:
        return Pin(own[image], "name that one in the settings")
    return Pin() if locked is None else Pin(locked.get(image, ""), target("pin"))


def ended(names: str) -> set[str]:
    """The services whose ended lines are known. Raises Refused for one that is not there."""
    there, found = [item.name for item in services()], names.replace(",", " ").split()
    if unknown := [name for name in found if name not in there]:
        raise Refused(f"ENDED={names}: no service is called {unknown[0]}: there are {', '.join(there)}")
    return {*found}


def updates() -> dict[str, str]:
    """Image → the command that brings a newer tag of it, where ``make update`` is about it."""
    found = load(stack().with_pins(pins.moved(stack().pins)))
    mains = {next(pins.images(item.main), ""): item.name for item in reversed(found)}
    return {image: target(f"update SERVICE={name}") for image, name in mains.items()}


def lines(  # noqa: PLR0913  each of them is of one image
    image: str,
    found: Registered,
    upstream: Upstream | None,
    pin: Pin,
    now: date,
    *,
    way: str = "",
    accepted: bool = False,
) -> Iterator[Line]:
    """What there is to say of one image. way: the command that updates it. accepted: whether its end is known. Pure."""
    tag = image_names.parted(image)[1]
    newer = tags.newer(tag, found.tags, upstream.line if upstream else 0)
    if newer.same:
        yield Line(
            f"newer: {_listed(newer.same)}{_notes(upstream, newer.same[0])}{way and f': {way}'}",
            outdated=True,
        )
    if newer.following:
        yield Line(f"next line: {_listed(newer.following)}{_notes(upstream, newer.following[-1])}")
    yield from _digest(found, pin)
    yield from _ends(tag, upstream, now, accepted=accepted)
    if found.unlisted:
        yield Line(f"newer tags are not known: {found.unlisted}")


def _digest(found: Registered, pin: Pin) -> Iterator[Line]:
    if found.wrong:
        yield Line(f"what its tag stands for is not known: {found.wrong}")
    elif pin.todo and not pin.digest:
        yield Line(f"is not pinned: {pin.todo}", outdated=True)
    elif pin.digest and pin.digest != found.digest:
        before, after = (image_names.short(f"@{digest}")[1:] for digest in (pin.digest, found.digest))
        yield Line(f"pinned to {before}, and its tag is {after} now: {pin.todo}", outdated=True)


def _ends(tag: str, upstream: Upstream | None, now: date, *, accepted: bool) -> Iterator[Line]:
    for end in upstream.ends if upstream else ():
        left = date.fromisoformat(end.on) - now
        if tags.is_of(tag, end.of) and left < _AHEAD:
            over = left.days < 0
            words = f"upstream's support of {end.of} {'ended' if over else 'ends'} on {end.on}"
            yield Line(f"{words} ({end.source}, read {end.read})", outdated=over and not accepted)


def _listed(found: tuple[str, ...]) -> str:
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _notes(upstream: Upstream | None, tag: str) -> str:
    found = tags.parsed(tag)
    if upstream is None or found is None:
        return ""
    version = tag.removeprefix("v").partition("-")[0]
    return f" ({upstream.notes.format(version=version, major=found.version.release[0])})"


def shown(reports: Mapping[str, list[Line]], users: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """The images with something to say, each with its lines, and then the others. Pure."""
    for image, report in reports.items():
        if report:
            yield f"{image} ({', '.join(users[image])})"
            yield from (f"    {line.text}" for line in report)
    if fine := [image for image, report in reports.items() if not report]:
        yield f"nothing newer: {', '.join(fine)}"


def unknown(chosen: Iterable[Service]) -> Iterator[str]:
    """What no registry has. Pure."""
    for service in chosen:
        if any(item.fork for item in service.containers):
            yield f"{service.name}: built from a fork of yours, whose Dockerfile names its own bases"


def unpinned(users: Iterable[str], pinned: pins.Pins, *, whole: bool) -> Iterator[str]:
    """What runs by its tag alone, where nobody has asked for pins: no more than to be known. Pure."""
    if not whole and (loose := [image for image in users if image not in pinned]):
        which = "nothing is pinned" if not pinned else f"not pinned: {', '.join(loose)}"
        yield f"{which}: each runs what its tag stood for when it was pulled, on another host something else; {target('pin')} pins"

"""Daemon's moves: a restart of Docker that would have it store elsewhere, since others have decided so and it has not restarted
since: it would start without what it has.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tasks.facts.engine import Engine
from tasks.facts.survey import RealFact
from tasks.operations.daemon import FILE, flagged
from tasks.run import known


@dataclass(frozen=True)
class Move:
    """A restart of Docker stores elsewhere, or by other means. where: what says so. now, then: what it is, and will be."""

    setting: str
    where: str
    now: str
    then: str


def moves(have: Mapping[str, Any], found: Engine) -> Iterator[Move]:
    """What others have decided and Docker does not go by yet. Pure. Without a driver Docker keeps the one that it finds."""
    if not found.root:
        return
    given, words = flagged(found.flags), _valued(found.flags)

    def said(setting: str) -> tuple[str, str]:
        if setting in given:
            return words.get(given[setting], ""), "the command line of docker.service"
        return str(have.get(setting) or ""), FILE

    root, where = said("data-root")
    root = root or "/var/lib/docker"
    if posixpath.normpath(root) != posixpath.normpath(found.root):
        yield Move("data-root", where, found.root, root)
    driver, where = said("storage-driver")
    if driver and found.driver and driver != found.driver:
        yield Move("storage-driver", where, found.driver, driver)
    features = have.get("features")
    snapshotter = features.get("containerd-snapshotter") if isinstance(features, dict) else None
    if isinstance(snapshotter, bool) and snapshotter != (found.images == "containerd"):
        names = ("Docker's own image store", "containerd's image store")
        yield Move("containerd-snapshotter", FILE, names[not snapshotter], names[snapshotter])


def certain(have: Mapping[str, Any], found: Engine) -> list[Move]:
    """Without those where a link leads to what Docker has."""
    return [
        move
        for move in moves(have, found)
        if move.setting != "data-root" or known(RealFact, move.then) != move.now
    ]


def _valued(flags: Iterable[str]) -> dict[str, str]:
    """Flag → its value, in the same word or the next."""
    words = [*flags, ""]
    found = {}
    for word, after in pairwise(words):
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            found[name] = value if equals else after
    return found


def moved(move: Move, when: str) -> str:
    """The line to say. when: what would do it."""
    lost = "containers, images and volumes" if move.setting == "data-root" else "containers and images"
    return (
        f'docker: "{move.setting}" is {move.then} by {move.where}, and Docker has {move.now} until it restarts: {when} would '
        f"leave its {lost} behind: make it what Docker has, or move them and restart Docker yourself before the next run"
    )

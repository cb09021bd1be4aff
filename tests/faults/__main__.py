"""`make test-faults`: every point of `make bootstrap`, of a first deploy and of an update, of a rollback, `make update` and a rotation,
of a restore and its undoing, and of a recovery; one line for each, exit code 1 unless all is well.
"""

import argparse
import shutil
import sys
import time
from itertools import cycle
from pathlib import Path
from random import Random, SystemRandom
from tempfile import TemporaryDirectory

from tests.e2e import backed as backups
from tests.e2e.deployment import Deployment
from tests.faults import proof, recovery, state
from tests.faults.bootstrapping import Bootstrapping
from tests.faults.commands import NAMES, Commands, told
from tests.faults.course import Point, Step, counted, points, sample
from tests.faults.proof import LIGHT, OTHER
from tests.faults.restoring import Restoring
from tests.faults.state import State
from tests.lab import smarteros
from tests.lab.lab import Lab

# Points of a command in a row, when all are tried: each whole check of the host takes as long as several of them.
CHAINED = 12


def main() -> int:
    """One host is deployed to without a fault, then updated there and back; another is killed from the start. One restores a
    service and is then recovered on another.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="of the delays")
    parser.add_argument("--points", type=int, help="so many of each, chosen by the seed; all without")
    parser.add_argument(
        "--first",
        type=int,
        default=0,
        help="operation of a command with which to begin, as its number stands in the lines",
    )
    parser.add_argument("--lab", default="faults", help="made unless it is up, and then removed at the end")
    parser.add_argument(
        "--only", choices=("bootstrap", "deploy", *NAMES, "restore", "recover"), help="this part of it"
    )
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    lab = Lab(given.lab)
    made = lab.state.read() is None
    try:
        chance, failures = Random(given.seed), 0
        if given.only in (None, "bootstrap"):
            with TemporaryDirectory() as folder:
                failures += Bootstrapping(lab, Path(folder), chance, given.points).all()
        if given.only in (None, "deploy"):
            failures += Faults(lab, chance, given.points).all()
        if given.only in (None, *NAMES):
            with TemporaryDirectory() as folder:
                failures += commanded(lab, chance, Path(folder), given)
        if given.only in (None, "restore", "recover"):
            with TemporaryDirectory() as folder:
                failures += Backups(lab, chance, Path(folder)).all(given.only)
        print(f"{failures} failures", flush=True)
        return 1 if failures else 0
    finally:
        if made:
            lab.down()


def chosen(steps: list[Step], chance: Random, count: int | None) -> list[Point]:
    """All points, or as many as were asked for."""
    every = points(steps, chance)
    return sample(every, chance, count) if count else every


def commanded(lab: Lab, chance: Random, folder: Path, given: argparse.Namespace) -> int:
    """How much did not hold of a rollback, an update and a rotation, on one host."""
    smarteros.prepare(lab, ["clean"])
    host = Deployment(lab, lab.host("clean"))
    commands = Commands(
        host,
        folder,
        lambda steps: [
            point for point in chosen(steps, chance, given.points) if point.step.number >= given.first
        ],
        1 if given.points else CHAINED,
    )
    failures = told(commands.all(given.only))
    proof.remove(host)
    return failures


class Faults:
    """The two hosts, and what came out."""

    def __init__(self, lab: Lab, chance: Random, count: int | None) -> None:
        smarteros.prepare(lab, ["clean"])
        self.lab, self.chance, self.count = lab, chance, count
        self.clean = Deployment(lab, lab.host("clean"))
        self.failures = 0

    def all(self) -> int:
        """How much did not hold."""
        first = counted(self.clean, **LIGHT)
        light = state.read(self.clean)
        update = counted(self.clean, **OTHER)
        other = state.read(self.clean)
        self.first_deploy(self.chosen(first), light)
        self.lab.point(smarteros.domains(), self.clean.host)
        self.update(self.chosen(update), light, other)
        proof.remove(self.clean)
        return self.failures

    def chosen(self, steps: list[Step]) -> list[Point]:
        """All points, or as many as were asked for."""
        return chosen(steps, self.chance, self.count)

    def first_deploy(self, chosen: list[Point], light: State) -> None:
        """One chain on a bare host."""
        killed = Deployment(self.lab, self.lab.add_host("killed"))
        self.lab.point(smarteros.domains(), killed.host)
        try:
            found = proof.ascending(killed, chosen, **LIGHT)
            proof.same(light, found)
        except AssertionError as error:
            self.failed("first deploy", error)
        else:
            print(f"ok    first deploy: killed {len(chosen)} times, then as a clean one", flush=True)
        proof.remove(killed)

    def update(self, chosen: list[Point], light: State, other: State) -> None:
        """Each point on its own: there, back, there again; both ways change the same services."""
        for point, (settings, target) in zip(chosen, cycle([(LIGHT, light), (OTHER, other)]), strict=False):
            began = time.monotonic()
            try:
                proof.recovers(self.clean, point, light, target, **settings)
            except AssertionError as error:
                self.failed(f"update, {point}", error)
                self.clean.converge(**settings)
            else:
                print(f"ok    update, {point}: {time.monotonic() - began:.0f} s", flush=True)

    def failed(self, where: str, error: AssertionError) -> None:
        """One line, and indented what differs."""
        self.failures += 1
        print(f"FAIL  {where}\n{error}", flush=True)


class Backups:
    """A host with backups, and the one that takes its place."""

    def __init__(self, lab: Lab, chance: Random, folder: Path) -> None:
        smarteros.prepare(lab, ["backed"])
        self.lab, self.chance, self.folder = lab, chance, folder
        self.backed = backups.deployed(Deployment(lab, lab.host("backed")), folder / "kit.json")
        self.failures = 0

    def all(self, only: str | None) -> int:
        """How much did not hold. only: ``restore`` or ``recover``."""
        try:
            if only != "recover":
                self.restore()
            if only != "restore":
                self.recover()
        finally:
            for name in self.lab.description.hosts.keys() & {"backed", "new"}:
                self.lab.remove_host(name)
                shutil.rmtree(self.lab.state.folder / "state" / name, ignore_errors=True)
        return self.failures

    def restore(self) -> None:
        """A chain there, and one back."""
        restoring = Restoring(self.backed, self.chance)
        restoring.script.follow()
        try:
            there, back = restoring.restored(), restoring.undone()
        except AssertionError as error:
            self.failed("restore", error)
        else:
            print(f"ok    restore: killed {there} times, restore-undo: {back} times", flush=True)
        restoring.script.leave()

    def recover(self) -> None:
        """A chain for each part."""
        held = recovery.given(self.backed)
        self.lab.remove_host("backed")
        host = Deployment(self.lab, self.lab.add_host("new"))
        try:
            points = recovery.recovers(self.backed, host, held, self.folder / "home", self.chance)
        except AssertionError as error:
            self.failed("recover", error)
        else:
            print(f"ok    recover: killed {len(points)} times", flush=True)

    def failed(self, where: str, error: AssertionError) -> None:
        """What did not hold."""
        self.failures += 1
        print(f"FAIL  {where}\n{error}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

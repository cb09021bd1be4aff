"""Commands of day two that are killed at any point: rollback, update and rotate. The same command again ends each."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.e2e import clients
from tests.e2e.deployment import Deployment, outcomes
from tests.e2e.test_bad_image import publish
from tests.e2e.test_first_admins import LOGIN, enters
from tests.faults import state
from tests.faults.course import Point, Step, counted, killed
from tests.faults.proof import LIGHT, same
from tests.faults.state import State
from tests.lab import smarteros

LATER: dict[str, Any] = {**LIGHT, "timezone": "Europe/Madrid"}
IMAGES = ("metabase/metabase:v0.64.1.5", "metabase/metabase:v0.64.98")
# Points, in the order in which a command was killed at them, and what did not hold in the end.
Came = tuple[list[Point], str]
NAMES = ("rollback", "update", "rotate")
ROTATE, ROLLBACK, GENERATIONS, DRIFT = (
    f"tasks.commands.{name}.run" for name in ("rotate", "rollback", "generations", "drift")
)


class Whole(subprocess.Popen[str]):
    """A program with all that it has started, which end together."""

    def kill(self) -> None:
        """With -9, as `Popen.kill` does."""
        os.killpg(self.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Command:
    """As an operator calls it. deploy: what pyinfra is given; or module: a program of ours that calls pyinfra itself. words: of its
    environment.
    """

    host: Deployment
    deploy: str = ""
    module: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    inventory: str = "inventories/lab.py"

    def under_way(self, **settings: Any) -> subprocess.Popen[str]:
        """A run that asks nothing, its output to be read as it comes."""
        flags = [] if self.module else ["-y"]
        argv = self.host.argv(*flags, inventory=self.inventory, deploy=self.deploy, **settings)
        if self.module:
            argv = [sys.executable, "-m", self.module, *argv[1:-1]]
        return Whole(
            argv,
            cwd=smarteros.ROOT,
            env={**os.environ, "SMARTEROS_LAB": self.host.lab.name, "PYTHONUNBUFFERED": "1", **self.words},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def ends(self, **settings: Any) -> str:
        """A run that has to go through; what it printed."""
        with self.under_way(**settings) as process:
            said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said[-6000:]
        return said


class Commands:
    """One host, and what came out. chosen: of a command's steps, the points where it is killed. chained: so many of them one after
    the other, each in the re-run after the one before it, and then it is let through.
    """

    def __init__(
        self, host: Deployment, folder: Path, chosen: Callable[[list[Step]], list[Point]], chained: int = 1
    ) -> None:
        self.host, self.chosen, self.chained = host, chosen, chained
        self.inventory = folder / "inventories" / "lab.py"
        self.inventory.parent.mkdir(parents=True)
        (folder / ".lab").symlink_to(smarteros.ROOT / ".lab")
        shutil.copy(smarteros.ROOT / "inventories/lab.py", self.inventory)

    def all(self, only: str | None) -> Iterator[tuple[str, str, str]]:
        """Command, its points, and what did not hold after them; empty where all did. only: this command."""
        courses = {"rollback": self.rollback, "update": self.update, "rotate": self.rotate}
        for name, course in courses.items():
            if only in (None, name):
                yield from ((name, " | ".join(map(str, points)), wrong) for points, wrong in course())

    def rollback(self) -> Iterator[Came]:
        """There and back between two generations."""
        self.host.converge(**LIGHT)
        light = state.read(self.host)
        self.host.converge(**LATER)
        later = state.read(self.host)
        steps = counted(self._back(), **LATER)
        targets = cycle([later, light])
        for left in self._left(steps):
            points, wrong = self.recovers(self._back(), left, next(targets), **LATER)
            yield points, wrong
            if wrong:
                self.host.converge(**LIGHT)
                self.host.converge(**LATER)
                targets = cycle([light, later])
        self.host.converge(**LIGHT)

    def _back(self) -> Command:
        """To the one before the last, by its number, as the first run says that it has to be ended."""
        said = Command(self.host, GENERATIONS, words={"JSON": "1"}).ends(**LATER)
        found = json.JSONDecoder().raw_decode(said, said.index('{\n  "version"'))[0]["hosts"]
        number = found[self.host.host.name]["generations"][-2]["number"]
        return Command(self.host, ROLLBACK, words={"TO": str(number)})

    def update(self) -> Iterator[Came]:
        """There, and back by a deploy without the pin, each time."""
        publish(self.host.lab, *IMAGES, ["LABEL later=yes"])
        command = Command(
            self.host,
            module="tasks.commands.update",
            words={
                "SMARTEROS_SERVICE": "metabase",
                "TO": IMAGES[1].partition(":")[2],
                "YES": "1",
                "BACKUP": "none",
            },
            inventory=str(self.inventory),
        )
        self._unpinned()
        steps = counted(command, **LIGHT)
        updated = state.read(self.host)
        for left in self._left(steps):
            self._unpinned()
            yield self.recovers(command, left, updated, **LIGHT)
        self._unpinned()

    def _unpinned(self) -> None:
        for file in self.inventory.parent.glob("lab.*.json"):
            file.unlink()
        self.host.converge(**LIGHT)

    def rotate(self) -> Iterator[Came]:
        """All secrets that a run can change."""
        self.host.converge(**LIGHT)
        command = Command(self.host, ROTATE, words={"SMARTEROS_SERVICE": "all"})
        steps = counted(command, **LIGHT)
        for left in self._left(steps):
            before = state.read(self.host)
            yield self.recovers(command, left, before, rotated=True, **LIGHT)

    def _left(self, steps: list[Step]) -> Iterator[list[Point]]:
        """The points that are still to come, as long as there are some."""
        left = self.chosen(steps)
        while left:
            yield left

    def recovers(
        self, command: Command, left: list[Point], clean: State, *, rotated: bool = False, **settings: Any
    ) -> Came:
        """Takes points from those that are left. Killed there, the same command ends it: as a clean one, with all secrets that it does not
        change, and nothing else to do.
        """
        points = [left.pop(0)]
        try:
            killed(command, points[0], **settings)
            while (
                left and len(points) < self.chained and killed(command, left[0], rerun=True, **settings).code
            ):
                points.append(left.pop(0))
            self._ends(command, clean, rotated=rotated, **settings)
        except AssertionError as error:
            return points, str(error) or "an assertion without words"
        return points, ""

    def _ends(self, command: Command, clean: State, *, rotated: bool, **settings: Any) -> None:
        command.ends(**settings)
        found = state.read(self.host)
        same(clean, found)
        if not rotated:
            assert (differing := state.differences(clean.own, found.own)) == [], "\n".join(differing)
        elif not enters(
            self.host, "metabase", LOGIN, clients.secrets(self.host, "metabase")["ADMIN_PASSWORD"]
        ):
            raise AssertionError("Metabase's admin is not let in with the password in Vault")
        again = command if command.deploy == ROLLBACK else replace(command, deploy="deploy.py", module="")
        assert (changed := outcomes(again.ends(**settings))[0]) == {}, changed
        replace(again, deploy=DRIFT).ends(**settings)


def told(found: Iterator[tuple[str, str, str]]) -> int:
    """A line for each, as they come; how many did not hold."""
    failures, began = 0, time.monotonic()
    for name, points, said in found:
        now = time.monotonic()
        print(
            f"FAIL  {name}, {points}\n{said}" if said else f"ok    {name}, {points}: {now - began:.0f} s",
            flush=True,
        )
        failures, began = failures + bool(said), now
    return failures

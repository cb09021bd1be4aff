"""Course: a run followed line by line: which operations it has and how long each takes, and a kill at any point of it."""

import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_BEGINS = re.compile(r"--> Starting operation: (.*?)\s*$")
_ENDS = re.compile(r"\s+\[\S+\]\s+(Success|No changes|Error)")

BEFORE, DURING, AFTER = "before", "during", "after"
MOMENTS = (BEFORE, DURING, AFTER)


@dataclass(frozen=True)
class Step:
    """One operation of a run that went through."""

    number: int
    name: str
    seconds: float
    changed: bool


@dataclass(frozen=True)
class Point:
    """Where a run is killed: as an operation is named, some seconds later, or as its result is printed."""

    step: Step
    moment: str
    seconds: float = 0

    def __str__(self) -> str:
        """As it is printed."""
        later = f" (+{self.seconds:.1f} s)" if self.moment == DURING else ""
        return f"{self.moment} {self.step.number} {self.step.name}{later}"


@dataclass
class Followed:
    """A run so far. begun: names of its operations, ended: number → whether it changed something."""

    output: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    ended: dict[int, bool] = field(default_factory=dict)
    code: int | None = None

    @property
    def text(self) -> str:
        """All it printed."""
        return "".join(self.output)

    @property
    def changes(self) -> list[str]:
        """What it had changed and ended."""
        return [self.begun[number] for number, changed in self.ended.items() if changed]

    def hear(self, line: str) -> str:
        """Takes in one line; which moment of the present operation it is, or none."""
        self.output.append(line)
        plain = _COLOURS.sub("", line.rstrip("\n"))
        if found := _BEGINS.match(plain):
            self.begun.append(found[1])
            return BEFORE
        if self.begun and (found := _ENDS.match(plain)) and len(self.begun) - 1 not in self.ended:
            self.ended[len(self.begun) - 1] = found[1] == "Success"
            return AFTER
        return ""


class Program(Protocol):
    """What can be followed: a deploy, or another command that runs operations."""

    def under_way(self, **settings: Any) -> subprocess.Popen[str]:
        """A run of it, its output to be read as it comes."""


def counted(program: Program, **settings: Any) -> list[Step]:
    """A run that has to go through; its operations."""
    run, began, steps = Followed(), 0.0, []
    with program.under_way(**settings) as process:
        for line in _lines(process):
            moment = run.hear(line)
            if moment == BEFORE:
                began = time.monotonic()
            elif moment == AFTER:
                number = len(run.begun) - 1
                seconds = time.monotonic() - began
                steps.append(Step(number, run.begun[number], seconds, run.ended[number]))
    assert process.returncode == 0, run.text
    assert [step.name for step in steps] == run.begun, run.text
    return steps


def points(steps: Iterable[Step], chance: Random) -> list[Point]:
    """Every point there is, in the order of the run; ``during`` is anywhere within the operation's time."""
    return [
        Point(step, moment, chance.uniform(0.05, 0.95) * step.seconds if moment == DURING else 0)
        for step in steps
        for moment in MOMENTS
    ]


def sample(every: Iterable[Point], chance: Random, count: int) -> list[Point]:
    """Some of them, in order: most while something is being changed."""
    every = list(every)
    changing = [point for point in every if point.moment == DURING and point.step.changed]
    chosen = chance.sample(changing, min(len(changing), count - count // 3))
    chosen += chance.sample([point for point in every if point not in chosen], count // 3)
    return sorted(chosen, key=every.index)


def killed(program: Program, point: Point, *, rerun: bool = False, **settings: Any) -> Followed:
    """A run that is killed there. Only one that was faster than its delay may come to its end, or that had nothing left to do there.

    rerun: one of a command that was killed before, which may leave out operations: it is the name that counts.
    """
    run = Followed()
    with program.under_way(**settings) as process:
        for line in _lines(process):
            moment = run.hear(line)
            there = _alike(run.begun[-1], point) if run.begun else False
            here = there if rerun else len(run.begun) - 1 == point.step.number
            if here and moment == (AFTER if point.moment == AFTER else BEFORE):
                time.sleep(point.seconds)
                process.kill()
                break
        for line in _lines(process):
            run.hear(line)
        run.code = process.wait()
    assert run.code == -9 or (run.code == 0 and (rerun or point.moment == DURING)), (
        f"ended with {run.code} before it could be killed {point}:\n{run.text}"
    )
    assert rerun or _alike(run.begun[point.step.number], point), run.begun
    return run


def _alike(name: str, point: Point) -> bool:
    """Whether it is the point's operation, whatever the number in its name: a rollback's is the generation's."""
    return re.sub(r"\d+", "", name) == re.sub(r"\d+", "", point.step.name)


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout
    yield from iter(process.stdout.readline, "")

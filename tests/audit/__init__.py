"""`make audit`: what independent tools say of a deployed lab host. One module for each tool, its raw reports kept.

A module has ``check(target) -> list[Verdict]`` and a line in ``CHECKS`` of ``__main__.py``. What a tool suggests and we
leave open has its reason in a .toml file beside the module; a suggestion without one, and a reason that nothing needs
any more, fail the audit.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.hosts import LabHost
from tests.lab.lab import Lab

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Verdict:
    """One line of the audit: what was looked at, whether it is as it has to be, and why not."""

    name: str
    passed: bool
    figure: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As it is printed: one line, and indented what is wrong."""
        head = f"{'ok  ' if self.passed else 'FAIL'}  {self.name}: {self.figure}"
        return "\n".join([head, *(f"        {line}" for line in self.details)])


@dataclass(frozen=True)
class Target:
    """A deployed host of a lab, and the folder that keeps what the tools printed."""

    lab: Lab
    host: LabHost
    folder: Path

    def keep(self, name: str, text: str) -> Path:
        """Stores a raw report; where."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Reasons:
    """What is left open and why. open: on every host. lab: may show on a lab host only, which is a container."""

    open: Mapping[str, str]
    lab: Mapping[str, str]

    def against(self, found: Iterable[str]) -> tuple[str, ...]:
        """What was found and has no reason, and reasons for what is gone: they would hide it when it comes back."""
        names = set(found)
        missing = [f"no reason for: {item}" for item in sorted(names - set(self.open) - set(self.lab))]
        idle = [f"not found any more, remove its reason: {item}" for item in sorted(set(self.open) - names)]
        return (*missing, *idle)


def reasons(name: str) -> Reasons:
    """``name``.toml of this folder: tables ``open`` and ``lab``, what → why."""
    found = tomllib.loads((HERE / f"{name}.toml").read_text())
    return Reasons(found.get("open", {}), found.get("lab", {}))

"""Deployment: runs pyinfra as an operator does, and says what each operation did."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.hosts import LabHost
from tests.lab.lab import Lab
from tests.lab.smarteros import ROOT

# What an operator must never read: a failure that nobody foresaw, or an object of Python's.
_LEAKS = ("traceback", "<greenlet", "object at 0x", "internal exception", "exception in")

_PYINFRA = Path(sys.executable).with_name("pyinfra")


@dataclass(frozen=True)
class Run:
    """One pyinfra run: exit code, all it printed, and per host which operations changed or failed."""

    code: int
    output: str
    changed: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """The output without colours, without the host's name in front, without blanks around a line."""
        plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in self.output.splitlines()]
        return [re.sub(r"^\s*(\[\S+\]\s+)?", "", line).rstrip() for line in plain]

    @property
    def changes(self) -> list[str]:
        """Names of the operations that changed something, on any host."""
        return [name for names in self.changed.values() for name in names]

    def unchanged(self) -> None:
        """It has ended well and changed nothing; else what changed, and what the run said of that, is the failure's text."""
        _, *parts = self.output.split("--> Starting operation: ")
        told = [part[:2000] for part in parts if part.startswith(tuple(self.changes))]
        assert (self.code, self.changes) == (0, []), "\n".join([*self.changes, *told]) or self.output[-6000:]


@dataclass(frozen=True)
class Deployment:
    """A host of the lab and the command line that deploys to it."""

    lab: Lab
    host: LabHost

    def run(  # noqa: PLR0913
        self,
        *arguments: str,
        inventory: str = "inventories/lab.py",
        deploy: str = "deploy.py",
        yes: bool = True,
        environment: dict[str, str] | None = None,
        timeout: float = 600,
        typed: str = "",
        **settings: Any,
    ) -> Run:
        """``pyinfra inventories/lab.py deploy.py``, limited to our host; keywords are settings (--data).

        yes: whether it goes ahead without asking (-y); else Enter is what it is answered. typed: what it reads.
        """
        flags = ["-y"] if yes else []
        done = subprocess.run(
            self.argv(*flags, *arguments, inventory=inventory, deploy=deploy, **settings),
            cwd=ROOT,
            env={**os.environ, "SMARTEROS_LAB": self.lab.name, **(environment or {})},
            input=typed if yes else typed or "\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Run(done.returncode, done.stdout, *outcomes(done.stdout))

    def argv(
        self, *flags: str, inventory: str = "inventories/lab.py", deploy: str = "deploy.py", **settings: Any
    ) -> list[str]:
        """The command line of ``run``, for tests that end it before its time."""
        data = [part for key, value in settings.items() for part in ("--data", f"{key}={_literal(value)}")]
        return [str(_PYINFRA), "--limit", self.host.name, *data, *flags, inventory, deploy]

    def under_way(self, **settings: Any) -> subprocess.Popen[str]:
        """A run that goes ahead without asking, its output to be read as it comes; for tests that end it."""
        return subprocess.Popen(
            self.argv("-y", **settings),
            cwd=ROOT,
            env={**os.environ, "SMARTEROS_LAB": self.lab.name, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def converge(self, **settings: Any) -> Run:
        """A run that has to succeed."""
        run = self.run(**settings)
        assert run.code == 0, run.output[-6000:]
        return run

    def refused(self, *arguments: str, **settings: Any) -> Run:
        """A run that has to fail, and to say so in words of ours."""
        run = self.run(*arguments, **settings)
        assert run.code == 1, run.output[-6000:]
        assert [leak for leak in _LEAKS if leak in run.output.lower()] == [], run.output
        return run

    def unchanged(self, **settings: Any) -> None:
        """A run that has to find nothing to do."""
        self.converge(**settings).unchanged()

    def sh(self, command: str, *, check: bool = True, timeout: float = 120) -> str:
        """Standard output of a shell command on the host."""
        return str(self.host.run(command, check=check, timeout=timeout).stdout)


def _literal(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def outcomes(output: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    changed: dict[str, list[str]] = {}
    failed: dict[str, list[str]] = {}
    operation = ""
    for line in re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines():
        if found := re.match(r"--> Starting operation: (.*?)\s*$", line):
            operation = found[1]
        elif found := re.match(r"\s+\[(\S+)\]\s+Success\s*$", line):
            changed.setdefault(found[1], []).append(operation)
        elif found := re.match(r"\s+\[(\S+)\]\s+Error", line):
            failed.setdefault(found[1], []).append(operation)
    return changed, failed

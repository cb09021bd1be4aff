"""run-lock.sh, as it is on a host, with its folders below a folder of the test's."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.samples import ROOT

ANN = 'operator "ann@laptop"\nlogin "deploy"\nfrom ""\ncommand "rotate"\nabout "n8n"\n'


@dataclass(frozen=True)
class RunLock:
    """The script and what it leaves: ``run/`` for /run/smarteros, ``log/`` for /var/log/smarteros."""

    folder: Path

    def script(self, **changes: str) -> Path:
        """The script's file; changes: a word of it → another, for tests that cannot wait for minutes."""
        (self.folder / "current").unlink(missing_ok=True)
        (self.folder / "current").symlink_to("generations/6f3a90c2")
        text = (ROOT / "files" / "run-lock.sh").read_text()
        for old, new in {
            "/run/smarteros": str(self.folder / "run"),
            "/var/log/smarteros": str(self.folder / "log"),
            "/opt/smarteros/current": str(self.folder / "current"),
            **changes,
        }.items():
            assert old in text
            text = text.replace(old, new)
        path = self.folder / "run-lock.sh"
        path.write_text(text)
        return path

    def begin(self, said: str = ANN, **changes: str) -> "Session":
        """A run that has just connected."""
        text = self.script(**changes).read_text()
        process = subprocess.Popen(
            ["bash", "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        session = Session(process)
        session.say(said)
        return session

    @property
    def work(self) -> Path:
        """What every command that changes something holds."""
        return self.folder / "run" / "work"

    @property
    def log(self) -> Path:
        """The audit log."""
        return self.folder / "log" / "runs.log"

    def lines(self) -> list[dict[str, Any]]:
        """The audit log's lines without what differs from test to test."""
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [{key: line[key] for key in line if key not in ("started", "seconds")} for line in found]


@dataclass(frozen=True)
class Session:
    """One run of the script."""

    process: subprocess.Popen[str]

    def say(self, text: str) -> None:
        """What the run tells."""
        assert self.process.stdin
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def hear(self) -> str:
        """What it says next, after an empty line; nothing at its end."""
        assert self.process.stdout
        empty, said = self.process.stdout.readline(), self.process.stdout.readline()
        assert empty in ("\n", "")
        assert said.startswith("smarteros-lock ") or not said
        return said.removeprefix("smarteros-lock ").rstrip("\n")

    def end(self, said: str = "") -> list[str]:
        """The run says this and is gone; the rest of the script's output."""
        self.say(said)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        rest = self.process.stdout.read().splitlines()
        self.process.stdout.close()
        assert self.process.wait(10) == 0
        return rest

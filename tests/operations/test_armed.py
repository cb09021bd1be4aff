"""Armed: the scripts run for real in a folder that stands for the host's root; systemd is played by two small stubs."""

import base64
import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.exceptions import ConnectError

from tasks.operations import armed
from tasks.operations.files import archive
from tasks.run import Refused
from tests.facts.test_facts import MACHINE
from tests.fake import fake, stdin, texts
from tests.samples import ROOT

# What a unit says to systemd is logged; the revert's service runs its script.
SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >>"$LOG"
[ "$1 $2" = "start smarteros-revert.service" ] || exit 0
exec sh "$HOST/var/lib/smarteros/revert"
"""
SYSTEMD_RUN = '#!/bin/sh\necho "systemd-run $*" >>"$LOG"\n'

OLD, NEW = "old\n", "new\n"
FOLDERS = ("/etc/", "/var/lib/", "/run/")


@dataclass(frozen=True)
class Sandbox:
    """A host's root folder, with one file that is to change (0640) and one that is not there yet."""

    root: Path

    def __post_init__(self) -> None:
        """Makes what stands there before."""
        for name, text in (("systemctl", SYSTEMCTL), ("systemd-run", SYSTEMD_RUN)):
            path = self.root / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        for folder in ("etc", "run"):
            (self.root / folder).mkdir()
        self.there.write_text(OLD)
        self.there.chmod(0o640)
        self.live.write_text(OLD)

    @property
    def there(self) -> Path:
        """The file that is to change."""
        return self.root / "etc/there.conf"

    @property
    def live(self) -> Path:
        """What the service goes by."""
        return self.root / "run/live"

    @property
    def log(self) -> list[str]:
        """What was asked of systemd."""
        path = self.root / "log"
        return path.read_text().splitlines() if path.exists() else []

    def state(self) -> tuple[str, str, bool, str]:
        """The changed file, its mode, whether the new file is there, what the service goes by."""
        mode = oct(self.there.stat().st_mode)[-3:]
        return self.there.read_text(), mode, (self.root / "etc/fresh.conf").exists(), self.live.read_text()

    def sh(self, script: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """The script with every path of the host's below our root."""
        for folder in FOLDERS:
            script = script.replace(folder, f"{self.root}{folder}")
        return self._run(script, given)

    def _run(self, script: str, given: str = "") -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "HOST": str(self.root),
            "LOG": str(self.root / "log"),
        }
        return subprocess.run(
            ["sh", "-c", script], input=given, env=environment, capture_output=True, text=True, check=False
        )

    def revert(self) -> subprocess.CompletedProcess[str]:
        """What the service does when the timer has run down, or at boot."""
        path = self.root / "var/lib/smarteros/revert"
        return self._run(f"sh {path}" if path.exists() else ":")

    @property
    def armed(self) -> list[str]:
        """The folders that say how far the change has come."""
        folder = self.root / "var/lib/smarteros"
        return [name for name in ("armed", "undoing", "proven") if (folder / name).exists()]


BEFORE = (OLD, "640", False, OLD)
AFTER = (NEW, "644", True, NEW)
CHANGE = armed.Change(
    "the lock",
    {"/etc/there.conf": NEW, "/etc/fresh.conf": NEW},
    make="cp /etc/there.conf /run/live",
    undo="cat undoing/was >/run/live",
    others=("/etc/other",),
    snapshot="cp /run/live was",
)


@pytest.fixture
def host(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def steps(change: armed.Change = CHANGE) -> tuple[StringCommand, FunctionCommand, StringCommand]:
    with fake({}):
        first, proof, disarm = armed.proven(change)
    assert isinstance(first, StringCommand)
    assert isinstance(proof, FunctionCommand)
    assert isinstance(disarm, StringCommand)
    return first, proof, disarm


def below(root: Path, upload: str) -> str:
    """The same archive for a host whose root is elsewhere."""
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(upload)), mode="r:gz") as tar:
        texts_ = {item.name: tar.extractfile(item).read().decode() for item in tar}  # type: ignore[union-attr]
    for folder in FOLDERS:
        texts_ = {name: text.replace(folder, f"{root}{folder}") for name, text in texts_.items()}
    return archive({f"{str(root).lstrip('/')}/{name}": text for name, text in texts_.items()}, mode="644")


def made(host: Sandbox, change: armed.Change = CHANGE) -> subprocess.CompletedProcess[str]:
    first, _, _ = steps(change)
    return host.sh(str(first), below(host.root, stdin(first)))


def test_a_proven_change_stands_and_nothing_is_left_of_the_revert(host: Sandbox) -> None:
    assert made(host).returncode == 0
    assert (host.state(), host.armed) == (AFTER, ["armed"])
    assert host.log[-1] == (
        "systemd-run --quiet --on-active=90 --timer-property=AccuracySec=1s --unit=smarteros-revert.service"
    )
    assert host.sh(str(steps()[2])).returncode == 0
    assert (host.state(), host.armed) == (AFTER, [])
    assert host.log[-1] == "systemctl stop smarteros-revert.timer"
    assert (host.revert().returncode, host.state()) == (0, AFTER)


def test_an_unproven_change_is_taken_back_with_modes_and_all(host: Sandbox) -> None:
    assert made(host).returncode == 0
    reverted = host.revert()
    assert (reverted.returncode, reverted.stderr) == (0, "")
    assert reverted.stdout == "not proven by a new connection, taken back: the lock\n"
    assert (host.state(), host.armed) == (BEFORE, [])


def test_a_proof_that_comes_too_late_is_no_proof(host: Sandbox) -> None:
    made(host)
    host.revert()
    late = host.sh(str(steps()[2]))
    assert late.returncode == 1
    assert late.stderr == "the old state is already back: the new connection came too late\n"
    assert host.state() == BEFORE


def test_a_change_that_fails_is_taken_back_at_once(host: Sandbox) -> None:
    broken = armed.Change(
        "the lock", CHANGE.files, "echo broken >/run/live; exit 3", CHANGE.undo, (), CHANGE.snapshot
    )
    assert made(host, broken).returncode == 3
    assert (host.state(), host.armed) == (BEFORE, [])
    assert host.log[-1] == "systemctl start smarteros-revert.service"


def test_a_revert_that_was_cut_short_goes_on(host: Sandbox) -> None:
    made(host)
    folder = host.root / "var/lib/smarteros"
    (folder / "armed").rename(folder / "undoing")
    host.there.write_text(OLD)
    assert host.revert().returncode == 0
    assert (host.state(), host.armed) == (BEFORE, [])


def test_a_change_upon_one_that_is_not_proven_is_refused_and_both_are_taken_back(host: Sandbox) -> None:
    made(host)
    assert made(host).returncode == 1
    assert (host.state(), host.armed) == (BEFORE, [])


def cuts() -> Iterator[str]:
    """The script, cut short after each line of it at which a shell can be killed."""
    lines = str(steps()[0]).splitlines()
    for end in range(1, len(lines) + 1):
        script = "\n".join([*lines[:end], "kill -9 $$"])
        if (
            subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False).returncode
            == 0
        ):
            yield script


@pytest.mark.parametrize("script", [*cuts()], ids=lambda script: script.splitlines()[-2][:30])
def test_killed_anywhere_it_is_taken_back_and_can_be_made_again(host: Sandbox, script: str) -> None:
    host.sh(script, below(host.root, stdin(steps()[0])))
    if host.state() != BEFORE:
        assert host.armed == ["armed"]
        assert any(line.startswith("systemd-run") for line in host.log)
    assert (host.revert().returncode, host.state(), host.armed) == (0, BEFORE, [])
    assert made(host).returncode == 0
    assert host.sh(str(steps()[2])).returncode == 0
    assert (host.state(), host.armed) == (AFTER, [])


def test_the_change_can_be_killed_at_many_places() -> None:
    assert len([*cuts()]) > 20


def test_an_unproven_change_of_an_earlier_run_is_taken_back_first() -> None:
    with fake({"/etc/os-release": [*MACHINE, "armed yes"]}):
        (command,) = texts(armed.settled)
    assert command.splitlines()[:2] == [
        "systemctl stop smarteros-revert.timer 2>/dev/null",
        "systemctl start smarteros-revert.service && [ ! -d /var/lib/smarteros/undoing ] || exit 1",
    ]
    with fake({"/etc/os-release": MACHINE}):
        assert texts(armed.settled) == []


@dataclass
class Connector:
    """Plays pyinfra's connector: what its connections come to, one after the other; the last one again and again."""

    state: Any
    host: Any
    client: Any = None
    outcomes: ClassVar[list[str]] = []
    closed: ClassVar[list[bool]] = []
    commands: list[str] = field(default_factory=list)

    def connect(self) -> None:
        """The next outcome: a reason against it, or nothing."""
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if outcome:
            raise ConnectError(outcome)
        self.client = SimpleNamespace(close=lambda: self.closed.append(True))

    def run_shell_command(self, command: StringCommand) -> tuple[bool, None]:
        """Only the one command that a proof has to run."""
        return str(command) == "true", None


@pytest.fixture
def prove() -> Iterator[Callable[..., None]]:
    with fake({}) as target:
        connector = Connector(target.state, target, client=object())
        target.connector = connector  # type: ignore[assignment]

        def run(*outcomes: str, seconds: int = 1) -> None:
            Connector.outcomes, Connector.closed = list(outcomes), []
            armed.prove("sshd", seconds)

        yield run


def test_a_new_connection_is_the_proof_and_is_closed(prove: Callable[..., None]) -> None:
    prove("")
    assert Connector.closed == [True]


def test_a_daemon_that_is_just_starting_is_asked_again(prove: Callable[..., None]) -> None:
    prove("Could not connect (refused)", "", seconds=90)
    assert Connector.closed == [True]


REFUSED = (
    "sshd on @fake/one: no new SSH connection comes in after the change: {}. The host takes the change back "
    "by itself, {} s after it was made"
)


@pytest.mark.parametrize(
    "answer",
    [
        "Authentication error (username=root)",
        "SSH host key error (Host key for x does not match.)",
        "SSH error (Incompatible ssh peer (no acceptable kex algorithm))",
    ],
)
def test_what_refuses_us_is_not_asked_again(prove: Callable[..., None], answer: str) -> None:
    with pytest.raises(Refused) as refused:
        prove(answer, "", seconds=90)
    assert str(refused.value) == REFUSED.format(answer, 90)


def test_nothing_that_answers_is_no_proof(prove: Callable[..., None]) -> None:
    with pytest.raises(Refused) as refused:
        prove("Could not connect (timed out)")
    assert str(refused.value) == REFUSED.format("Could not connect (timed out)", 1)


def test_who_works_on_the_host_itself_has_no_connection_to_lose() -> None:
    with fake({}):
        armed.prove("the firewall", 1)


def test_the_revert_is_a_script_that_the_unit_runs() -> None:
    unit = (ROOT / "files/units/smarteros-revert.service").read_text()
    assert "ExecStart=/bin/sh /var/lib/smarteros/revert\n" in unit
    for folder in ("armed", "undoing"):
        assert f"ConditionPathExists=|/var/lib/smarteros/{folder}\n" in unit

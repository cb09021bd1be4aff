"""The lock: one run at a time, freed by every end of a run, and what an interrupted one has left is waited for.

Real runs of pyinfra on this machine, with the lock below a folder of the test's.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks import lock
from tasks.connection import lock_says, of_this_machine
from tests.fake import fake
from tests.run_lock import ANN, RunLock
from tests.samples import ROOT
from tests.signals import heard

LOCK = "Lock | one run at a time, noted in /var/log/smarteros/runs.log"

DEPLOY = """
from pathlib import Path
from pyinfra.api import StringCommand
from tasks import lock
from tasks.run import Refused, operation

lock._SCRIPT = Path({script!r})
lock._HOLD = lock._HOLD.replace("/run/smarteros/work", {work!r})

@operation
def shell(command):
    yield StringCommand(command, _stdin="what is read")

@operation
def quiet():
    yield from ()

lock.run()
quiet(name="Phase | nothing to do")
shell("cat >> {log}; {command}", name="Phase | work")
quiet(name="Phase | last")
"""


@dataclass(frozen=True)
class Machine:
    """A host, played by this machine: what runs leave is below ``lock.folder``."""

    lock: RunLock

    def argv(self, command: str, *flags: str, inventory: str = "@local") -> list[str]:
        """pyinfra, with a deploy whose middle operation runs this command."""
        deploy = self.lock.folder / "deploy.py"
        script, work, log = self.lock.script(), self.lock.work, self.done
        deploy.write_text(DEPLOY.format(script=str(script), work=str(work), log=log, command=command))
        pyinfra = str(Path(sys.executable).with_name("pyinfra"))
        return [pyinfra, *flags, "--data", "acme_email=a@b.cl", inventory, str(deploy)]

    @property
    def done(self) -> Path:
        """Where the middle operation writes."""
        return self.lock.folder / "done"

    def run(self, command: str = "true", *flags: str, inventory: str = "@local") -> tuple[int, str]:
        """One run; its exit code and output."""
        argv = self.argv(command, *(flags or ("-y",)), inventory=inventory)
        done = subprocess.run(
            argv,
            cwd=ROOT,
            input="\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)

    @contextmanager
    def at_work(self, command: str = "sleep 300") -> Iterator[subprocess.Popen[str]]:
        """A run of somebody else's that has come to its middle operation."""
        argv = self.argv(command, "-y")
        with subprocess.Popen(
            argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as other:
            try:
                until(self.done.exists)
                yield other
            finally:
                other.kill()
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)

    def left(self) -> list[int]:
        """Processes that hold the file which every command at work holds."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if self.lock.work in opened(pid)]


def opened(pid: int) -> list[Path]:
    try:
        return [Path(entry).readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def until(true: object) -> None:
    assert callable(true)
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(RunLock(tmp_path))


def changed(output: str) -> list[str]:
    """Operations that changed something."""
    found = re.findall(r"--> Starting operation: (.*?) *\n    \[\S+\] (.*)\n", output)
    return [name for name, result in found if result == "Success"]


def test_a_run_holds_the_lock_changes_nothing_by_it_and_is_in_the_log(machine: Machine) -> None:
    code, output = machine.run("echo said")
    assert (code, changed(output)) == (0, ["Phase | work"]), output
    assert machine.done.read_text() == "what is read\n"
    (line,) = machine.lock.lines()
    assert (line["result"], line["at"], line["changed"]) == ("ok", None, ["Phase | work"])
    assert re.fullmatch(r"\S+@\S+", line["operator"])


def test_the_second_operator_is_told_who_where_since_when_and_what_and_changes_nothing(
    machine: Machine,
) -> None:
    with machine.at_work():
        began = time.monotonic()
        code, output = machine.run()
        assert time.monotonic() - began < 60  # and not the 300 that the first one takes
        assert machine.done.read_text() == "what is read\n"
    assert code == 1
    assert re.search(
        r'\] is locked: deploy by \S+@\S+, under way for \d+ s, now at "Phase \| work"\. '
        r"Run again when that has ended; if it is gone for good, `kill \d+` there\n",
        output,
    ), output


def test_the_second_operator_is_told_that_it_is_no_deploy(machine: Machine) -> None:
    first = machine.lock.begin()
    assert first.hear() == "held"
    code, output = machine.run()
    assert code == 1
    assert "] is locked: rotate n8n by ann@laptop, under way for " in output, output
    first.end("end ok\n")


def ended() -> str:
    """The name of a process of this machine that is gone."""
    with subprocess.Popen(["sleep", "60"]) as process:
        found = of_this_machine._named(process.pid)
        process.kill()
    return found


def test_a_run_of_this_machine_that_is_over_keeps_nobody_out_whose_connection_the_host_has_not_noticed_to_be_gone(
    machine: Machine,
) -> None:
    first = machine.lock.begin(ANN.replace('from ""', f'from "{ended()}"'))
    assert first.hear() == "held"
    code, output = machine.run()
    assert (code, changed(output)) == (0, ["Phase | work"]), output
    assert (
        "the run that has the lock was begun here, and is over: what is left of it there is ended" in output
    )
    assert first.process.wait(10) == -signal.SIGTERM
    assert [(line["command"], line["result"]) for line in machine.lock.lines()] == [
        ("rotate", "interrupted"),
        ("deploy", "ok"),
    ]


def test_a_run_that_began_meanwhile_is_not_ended_in_the_place_of_one_that_is_over(tmp_path: Path) -> None:
    host = RunLock(tmp_path)
    first = host.begin()
    assert first.hear() == "held"
    second = host.begin()
    assert second.process.stdout
    assert "smarteros-lock asks\n" in iter(second.process.stdout.readline, "")
    with subprocess.Popen(["sleep", "60"]) as other:
        assert second.end(f"gone {other.pid}\n") == []
        assert other.poll() is None
        other.kill()
    first.end("end ok\n")
    assert [line["result"] for line in host.lines()] == ["ok"]


def test_a_plan_takes_no_lock_and_needs_none(machine: Machine) -> None:
    assert machine.run("true", "--dry")[0] == 0
    assert not machine.lock.log.parent.exists()
    with machine.at_work():
        assert machine.run("true", "--dry")[0] == 0


def test_the_lock_is_had_after_the_question(machine: Machine) -> None:
    code, output = machine.run("true", "--diff")
    assert (code, changed(output)) == (0, ["Phase | work"]), output
    assert [line["result"] for line in machine.lock.lines()] == ["ok"]


def test_while_somebody_is_asked_the_host_is_not_locked(machine: Machine) -> None:
    argv = machine.argv("true", "-y")
    deploy, held = machine.lock.folder / "deploy.py", machine.lock.folder / "held"
    asking = f"""
import gevent
from tasks.run import executing

@operation
def asking():
    yield from ()
    if executing():
        gevent.sleep(1)
        Path({str(held)!r}).write_text(str(Path({str(machine.lock.log)!r}).exists()))

asking(name="Phase | asked")
lock.run(deploy=False, early=False)
"""
    deploy.write_text(deploy.read_text().replace("\nlock.run()\n", asking))
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    assert held.read_text() == "False"
    assert [line["changed"] for line in machine.lock.lines()] == [["Phase | work"]]


def test_a_kill_frees_the_lock_and_what_was_left_at_work_is_waited_for(machine: Machine) -> None:
    go = machine.lock.folder / "go"
    with machine.at_work(f"until [ -e {go} ]; do sleep 0.1; done") as other:
        other.kill()
        other.wait()
        until(lambda: machine.lock.log.exists() and machine.lock.lines())
        assert machine.left() != []
        with subprocess.Popen(
            machine.argv("true", "-y"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run:
            assert run.stdout
            said = next(line for line in run.stdout if "waits for" in line or "Phase |" in line)
            assert "waits for what an interrupted run has left at work: " in said
            assert machine.done.read_text() == "what is read\n"
            go.touch()
            output = re.sub(r"\x1b\[[0-9;]*m", "", run.stdout.read())
    assert (run.returncode, changed(output)) == (0, ["Phase | work"]), output
    first, second = machine.lock.lines()
    assert (first["result"], first["at"], first["changed"]) == (
        "interrupted",
        "Phase | work",
        ["Phase | work"],
    )
    assert second["result"] == "ok"
    assert machine.done.read_text() == "what is read\n" * 2


def test_one_ctrl_c_ends_a_run_at_its_work_frees_the_lock_and_is_in_the_log(machine: Machine) -> None:
    with machine.at_work() as other:
        other.send_signal(signal.SIGINT)
        assert other.wait(60) == 130
        assert machine.left() != []
    (line,) = machine.lock.lines()
    assert (line["result"], line["at"], line["changed"]) == ("interrupted", "Phase | work", ["Phase | work"])


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=lambda number: number.name)
def test_a_closed_terminal_is_such_an_end_and_the_next_run_goes_on(
    machine: Machine, number: signal.Signals
) -> None:
    go = machine.lock.folder / "go"
    with heard(), machine.at_work(f"until [ -e {go} ]; do sleep 0.1; done") as other:
        other.send_signal(number)
        assert other.wait(60) == -number
        until(lambda: machine.lock.log.exists() and machine.lock.lines())
        assert machine.left() != []  # what was under way there goes on
        go.touch()
        until(lambda: not machine.left())
    assert machine.run()[0] == 0
    assert [line["result"] for line in machine.lock.lines()] == ["interrupted", "ok"]


def test_a_failed_run_frees_the_lock_and_says_where_it_failed(machine: Machine) -> None:
    code, output = machine.run("exit 3")
    assert code == 1, output
    (line,) = machine.lock.lines()
    assert (line["result"], line["at"], line["changed"]) == ("failed", "Phase | work", ["Phase | work"])
    assert machine.run()[0] == 0


def test_a_run_that_has_lost_its_lock_changes_nothing_more(machine: Machine) -> None:
    kill = f"kill $(sed -n 's/^pid //p' {machine.lock.folder}/log/.unfinished); sleep 0.3"
    argv = machine.argv(kill, "-y")
    with Path(argv[-1]).open("a") as deploy:
        deploy.write(f'shell("echo later >> {machine.done}", name="Phase | later")')
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert (
        "[@local] is not locked for this run any more: its process there was ended; run again" in done.stderr
    )
    assert machine.done.read_text() == "what is read\n"


@pytest.mark.parametrize("kept", ["", "started 2026-11-28T04:0", "epoch 17"])
def test_what_a_power_cut_has_left_of_a_run_is_in_the_log_with_the_time_that_its_file_has(
    tmp_path: Path, kept: str
) -> None:
    lock = RunLock(tmp_path)
    lock.log.parent.mkdir()
    lock.log.write_text('{"started": "2026-11-27T04:00:00Z", "sec')
    unfinished = lock.log.with_name(".unfinished")
    unfinished.write_text(kept)
    os.utime(unfinished, (1790000000,) * 2)
    session = lock.begin()
    assert session.hear() == "held"
    session.end("end ok\n")
    cut, *lines = lock.log.read_text().splitlines()
    assert cut == '{"started": "2026-11-27T04:00:00Z", "sec'
    first, second = map(json.loads, lines)
    assert (first["started"], first["seconds"], first["result"]) == ("2026-09-21T14:13:20Z", 0, "interrupted")
    assert second["result"] == "ok"


def test_up_to_which_act_all_is_done_is_noted_on_the_host_for_its_next_runs(tmp_path: Path) -> None:
    session = RunLock(tmp_path).begin(
        **{"/opt/smarteros/records": str(tmp_path / "records"), "/opt/smarteros": str(tmp_path)}
    )
    assert session.hear() == "held"
    session.end("acts 3\nend ok\n")
    assert (tmp_path / "records/.acts").read_text() == "3\n"


def test_where_one_host_cannot_be_locked_nothing_is_done_on_any(machine: Machine) -> None:
    # The second one is simulated, but its lock is this machine's: one of them finds the other's.
    code, output = machine.run("true", "-y", inventory="@local,@fake/other")
    assert code == 1, output
    assert changed(output) == []
    assert not machine.done.exists()
    assert re.search(r"\[(@local|@fake/other)\]\s+is locked: deploy by \S+@\S+, under way for", output), (
        output
    )
    assert re.search(r"nothing is done on \S+, since \S+ cannot be locked", output), output


def test_a_host_that_goes_away_while_it_is_locked_is_said_to_have_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(*_: object) -> None:
        raise EOFError  # paramiko's, when the connection ends under a new channel

    monkeypatch.setattr(lock, "Line", gone)
    with fake({}) as target:
        assert lock._take(target).refusal == "@fake/one cannot be locked: the connection has ended"


def test_what_does_not_end_is_ended_after_its_time(tmp_path: Path) -> None:
    host = RunLock(tmp_path)
    host.begin().end("end ok\n")
    with subprocess.Popen(["flock", "-s", str(host.work), "sleep", "30"]) as stubborn:
        until(lambda: host.work in opened(stubborn.pid))
        run = host.begin(**{"$seconds -lt 20": "$seconds -lt 2"})
        assert re.fullmatch(r"waits (flock|sleep) \(\d+\), (flock|sleep) \(\d+\)", run.hear())
        assert run.hear() == "held late"
        assert run.end("end ok\n") == []
        assert stubborn.wait(5) == -signal.SIGTERM


def test_packages_are_never_cut_short_and_the_wait_for_them_has_an_end(tmp_path: Path) -> None:
    host = RunLock(tmp_path)
    host.begin().end("end ok\n")
    shutil.copy("/bin/sleep", tmp_path / "apt-get")
    with (
        host.work.open() as held,
        subprocess.Popen(
            ["sh", "-c", f"flock -s {held.fileno()}; exec {tmp_path}/apt-get 30"], pass_fds=(held.fileno(),)
        ) as apt,
    ):
        until(lambda: Path(f"/proc/{apt.pid}/comm").read_text() == "apt-get\n")
        held.close()
        shorter = {"$seconds -lt 20": "$seconds -lt 1", "$seconds -lt 30": "$seconds -lt 1"}
        run = host.begin(**shorter, **{"$seconds -lt 600": "$seconds -lt 3"})
        assert run.hear() == f"waits apt-get ({apt.pid})"
        assert run.hear() == f"stuck apt-get ({apt.pid})"
        assert run.end() == []
        assert apt.poll() is None
        apt.kill()
    assert [line["result"] for line in host.lines()] == ["ok", "failed"]


def test_a_run_that_is_killed_while_it_waits_frees_the_lock(tmp_path: Path) -> None:
    host = RunLock(tmp_path)
    host.begin().end("end ok\n")
    with subprocess.Popen(["flock", "-s", str(host.work), "sleep", "30"]) as stubborn:
        until(lambda: host.work in opened(stubborn.pid))
        waiting = host.begin()
        assert waiting.hear().startswith("waits ")
        assert waiting.end('at "Lock | here"\n') == []
        assert (
            subprocess.run(["flock", "-n", str(host.folder / "run" / "lock"), "true"], check=False).returncode
            == 0
        )
        for pid in Machine(host).left():
            os.kill(pid, signal.SIGKILL)
    assert [(line["result"], line["at"]) for line in host.lines()] == [
        ("ok", None),
        ("interrupted", "Lock | here"),
    ]


BUSY = [
    "busy now 1000130",
    "busy started 2026-11-23T12:00:00Z",
    "busy epoch 1000000",
    "busy pid 4711",
    'busy operator "ann@laptop"',
    'busy login "deploy"',
]
LOCKED = "h1 is locked: {} by ann@laptop, under way for 2 min{}. Run again when that has ended; "
LOCKED += "if it is gone for good, `kill 4711` there"
STUCK = "h1: an interrupted run has left something at work there that does not end"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (BUSY, LOCKED.format("a run", "")),  # of an earlier version
        ([*BUSY, 'busy command "restore-undo"'], LOCKED.format("restore-undo", "")),
        (
            [*BUSY, 'busy command "deploy"', 'busy at "Data | Redis"', 'busy at "Verify | all"'],
            LOCKED.format("deploy", ', now at "Verify | all"'),
        ),
        (
            ["busy now 1000130"],
            "h1 is locked: a run by somebody, under way for 0 s. Run again when that has ended",
        ),
        (["user deploy"], "login: commands run as deploy; log in as root, or set _sudo = True for the host"),
        (
            ["waits apt-get (12)", "stuck apt-get (12)"],
            f"{STUCK}: apt-get (12); end it, then run again",
        ),
        (
            ["full 12 /var/log/smarteros"],
            "h1 cannot be locked: /var/log/smarteros takes no note of this run (12 kB are free there): make room, then run again",
        ),
        (["sudo: no", "at all"], "h1 cannot be locked: sudo: no"),
        ([], "h1 cannot be locked: the connection has ended"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(said: list[str], text: str) -> None:
    ours = [
        line if line.startswith("sudo") or line == "at all" else f"smarteros-lock {line}" for line in said
    ]
    assert lock_says.refusal("h1", ours) == text


def test_a_duration_is_said_in_the_unit_that_fits() -> None:
    texts = {0: "0 s", 119: "119 s", 120: "2 min", 7199: "119 min", 7200: "2 h", 200_000: "55 h"}
    assert {seconds: lock_says.duration(seconds) for seconds in texts} == texts


@pytest.mark.parametrize(
    "line", ["Welcome, user of h1", "+ echo smarteros-locked", "held", "user deploy", ""]
)
def test_what_others_print_is_nothing_that_the_script_says(line: str) -> None:
    assert lock_says.said(line) == ""


def test_what_the_script_says_is_found_behind_what_others_print() -> None:
    assert [lock_says.said(line) for line in ("smarteros-lock held", "$ smarteros-lock held late\r")] == [
        "held",
        "held late",
    ]

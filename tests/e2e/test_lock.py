"""The lock and the audit log on a real host: two operators, a kill, and what a run with nothing to do leaves."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.deployment import Deployment
from tests.lab.smarteros import ROOT

LOG = "/var/log/smarteros/runs.log"
METABASE = "Services | Metabase KPI"


def lines(deployed: Deployment, count: int) -> list[dict[str, Any]]:
    """The last lines of the host's audit log."""
    return [json.loads(line) for line in deployed.sh(f"tail -n {count} {LOG}").splitlines()]


@contextmanager
def another(deployed: Deployment) -> Iterator[subprocess.Popen[str]]:
    """Somebody else's run, at work on Metabase, which was removed."""
    deployed.sh("docker rm -f smarteros-metabase")
    with subprocess.Popen(
        deployed.argv("-y"),
        cwd=ROOT,
        env={**os.environ, "SMARTEROS_LAB": deployed.lab.name},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as other:
        try:
            until(
                lambda: (
                    f'change "{METABASE}"' in deployed.sh("cat /var/log/smarteros/.unfinished", check=False)
                )
            )
            yield other
        finally:  # also of one that is stopped, for which the test would wait for ever
            other.kill()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_second_of_two_operators_is_refused_within_five_seconds_and_the_first_goes_on(
    deployed: Deployment,
) -> None:
    with another(deployed) as first:
        first.send_signal(signal.SIGSTOP)  # it takes as long as this test needs
        began = time.monotonic()
        second = deployed.refused()
        took = time.monotonic() - began
        first.send_signal(signal.SIGCONT)
        output, _ = first.communicate(timeout=300)
    (said,) = [line for line in second.lines if "is locked" in line]
    assert re.fullmatch(
        r'is locked: deploy by \S+@\S+, under way for \d s, now at "Services \| Metabase KPI"\. '
        r"Run again when that has ended; if it is gone for good, `kill \d+` there",
        said,
    ), said
    assert second.changes == []
    assert first.returncode == 0, output
    (line,) = lines(deployed, 1)
    assert (line["result"], line["at"], line["changed"]) == ("ok", None, [METABASE])
    began = time.monotonic()
    deployed.unchanged()
    # Where this machine has much else to do, both take longer.
    assert took < max(5, time.monotonic() - began)


def test_a_killed_run_frees_the_lock_at_once_and_one_more_run_converges(deployed: Deployment) -> None:
    with another(deployed) as killed:
        killed.kill()
        killed.wait()
        until(lambda: bool(deployed.sh("flock -n /run/smarteros/lock echo free", check=False)))
        run = deployed.converge()
    assert set(run.changes) <= {METABASE}
    interrupted, after = lines(deployed, 2)
    assert (interrupted["result"], interrupted["at"], interrupted["changed"]) == (
        "interrupted",
        METABASE,
        [METABASE],
    )
    assert (after["result"], after["changed"]) == ("ok", run.changes)
    deployed.unchanged()


# The process of sshd's that serves the run's connection, above the shells that its command runs in.
END_CONNECTION = """
pid=$(sed -n 's/^pid //p' /var/log/smarteros/.unfinished)
until grep -q ^sshd /proc/$pid/comm; do pid=$(ps -o ppid= -p $pid | tr -d ' '); done
kill $pid
"""


def test_a_connection_that_breaks_is_said_with_the_operation_and_one_more_run_converges(
    deployed: Deployment,
) -> None:
    with another(deployed) as run:
        deployed.sh(END_CONNECTION)
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    assert f"--> Starting operation: {METABASE} \n" in output.split("the connection is lost")[0], output
    assert (
        "the connection is lost; what was under way may go on there: run again, which waits for it" in output
    )
    assert deployed.converge().code == 0
    (interrupted, _) = lines(deployed, 2)
    assert (interrupted["result"], interrupted["at"]) == ("interrupted", METABASE)
    deployed.unchanged()


def test_a_run_with_nothing_to_do_leaves_one_line_for_one_remote_command(deployed: Deployment) -> None:
    before = deployed.sh(f"cat {LOG}")
    run = deployed.run("-vvv")
    run.unchanged()
    assert (
        len(
            [
                line
                for line in run.lines
                if line.startswith(">>> sh -c 'export ") and "exec bash --norc -c " in line
            ]
        )
        == 1
    )
    (line,) = [json.loads(text) for text in deployed.sh(f"cat {LOG}").removeprefix(before).splitlines()]
    assert re.fullmatch(r"\S+@\S+", line.pop("operator"))
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", line.pop("started"))
    assert 0 <= line.pop("seconds") < 120
    generation = deployed.sh("readlink /opt/smarteros/current").strip().removeprefix("generations/")
    assert line == {
        "login": "root",
        "command": "deploy",
        "about": "",
        "generation": generation,
        "result": "ok",
        "at": None,
        "changed": [],
        "kept": [],
    }
    assert deployed.sh(f"stat -c '%a %U:%G' {LOG}") == "640 root:adm\n"


def test_neither_a_plan_nor_a_look_at_the_services_takes_the_lock_or_is_in_the_log(
    deployed: Deployment,
) -> None:
    before = deployed.sh(f"cat {LOG}")
    deployed.sh("systemd-run --quiet --unit held flock /run/smarteros/lock sleep infinity")
    try:
        assert deployed.run("--dry", yes=False).code == 0
        assert deployed.run(deploy="tasks.commands.verify.run").code == 0
        assert deployed.run(deploy="tasks.commands.status.run").code == 0
        assert "is locked: a run by somebody, under way for" in deployed.refused().output
    finally:
        deployed.sh("systemctl stop held")
    assert deployed.sh(f"cat {LOG}") == before
    deployed.unchanged()

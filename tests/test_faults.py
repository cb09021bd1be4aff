"""The fault harness itself: points are counted from a run, a run is killed where it should be, differences are named."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults import course, state
from tests.faults.course import Point, Step

# What pyinfra prints, with colours, of three operations; notes on disk what was really begun and ended.
PROGRAM = """
import sys, time
from pathlib import Path
done = Path(sys.argv[1])
print("--> Beginning operation run...")
for number, name in enumerate(["Host | a", "Data | b", "Verify | c"]):
    print(f"\\x1b[34m--> Starting operation: {name} \\x1b[0m", flush=True)
    time.sleep(0.5)
    done.write_text(done.read_text() + f"{number}")
    print("    [main] b: does not exist", flush=True)
    print(f"    [main] \\x1b[32m{'Success' if number == 1 else 'No changes'}\\x1b[0m", flush=True)
    time.sleep(0.5)
sys.exit(int(sys.argv[2]))
"""


@dataclass
class Pretended:
    """Instead of a Deployment."""

    done: Path
    code: int = 0

    def under_way(self, **_: Any) -> subprocess.Popen[str]:
        """A process that prints what a run prints."""
        self.done.write_text("")
        argv = [sys.executable, "-c", PROGRAM, str(self.done), str(self.code)]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return Pretended(tmp_path / "done")


def steps() -> list[Step]:
    return [
        Step(0, "Host | a", 0.3, changed=False),
        Step(1, "Data | b", 0.3, changed=True),
        Step(2, "Verify | c", 0.3, changed=False),
    ]


def test_operations_are_counted_with_their_time(run: Any) -> None:
    began = time.monotonic()
    found = course.counted(run)
    elapsed = time.monotonic() - began
    assert [(step.number, step.name, step.changed) for step in found] == [
        (0, "Host | a", False),
        (1, "Data | b", True),
        (2, "Verify | c", False),
    ]
    assert all(step.seconds > 0.1 for step in found)  # 0.5, less what a busy machine reads late
    assert 1 < sum(step.seconds for step in found) < elapsed


def test_a_run_that_fails_is_not_counted(run: Any) -> None:
    run.code = 1
    with pytest.raises(AssertionError, match="Starting operation"):
        course.counted(run)


@pytest.mark.parametrize(
    ("moment", "seconds", "done", "changes"),
    [("before", 0, "0", []), ("during", 0.15, "0", []), ("after", 0, "01", ["Data | b"])],
)
def test_a_run_is_killed_where_it_should_be(
    run: Any, moment: str, seconds: float, done: str, changes: list[str]
) -> None:
    killed = course.killed(run, Point(steps()[1], moment, seconds))
    assert (killed.code, killed.changes) == (-9, changes)
    assert run.done.read_text() == done


def test_a_run_that_has_other_operations_or_ends_before_is_a_failure(run: Any) -> None:
    with pytest.raises(AssertionError, match=r"Host \| a"):
        course.killed(run, Point(Step(1, "Data | x", 1, changed=True), "before"))
    with pytest.raises(AssertionError, match="ended with 0 before it could be killed after 3 Data"):
        course.killed(run, Point(Step(3, "Data | x", 1, changed=True), "after"))


@pytest.mark.parametrize("rerun", [False, True])
def test_a_number_in_an_operations_name_may_be_another(run: Any, rerun: bool) -> None:
    run.code = 7
    point = Point(Step(1, "Data | b", 0.3, changed=True), "before")
    numbered = PROGRAM.replace("Data | b", "Data | 12")
    run.under_way = lambda **_: subprocess.Popen(
        [sys.executable, "-c", numbered, str(run.done), "7"], stdout=subprocess.PIPE, text=True
    )
    run.done.write_text("")
    with pytest.raises(AssertionError):
        course.killed(run, point, rerun=rerun)
    killed = course.killed(run, Point(Step(1, "Data | 3", 0.3, changed=True), "before"), rerun=rerun)
    assert killed.code == -9


def test_every_point_is_there_and_a_sample_is_in_order_and_repeatable() -> None:
    every = course.points(steps(), Random(7))
    assert [(point.step.number, point.moment) for point in every] == [
        (number, moment) for number in (0, 1, 2) for moment in ("before", "during", "after")
    ]
    assert all(0 < point.seconds < 0.3 for point in every if point.moment == "during")
    chosen = course.sample(every, Random(7), 4)
    assert chosen == sorted(chosen, key=every.index)
    assert [
        str(point).split(" (")[0] for point in chosen if point.step.changed and point.moment == "during"
    ] == ["during 1 Data | b"]
    assert chosen == course.sample(every, Random(7), 4)


def test_differences_are_one_line_each() -> None:
    before = {"a": "1", "b": "2", "c": "3"}
    assert state.differences(before, {"a": "1", "b": "5", "d": "4"}) == [
        "b: 2 → 5",
        "c: 3 → not there",
        "d: not there → 4",
    ]
    assert state.lost(before, {**before, "d": "4"}) == []
    assert state.lost(before, {"a": "1", "b": "5", "d": "4"}) == ["b: 2 → 5", "c: 3 → not there"]


@pytest.mark.parametrize(
    "path", ["/etc/passwd-", "/etc/hosts", "/etc/ssh/ssh_host_ed25519_key.pub", "/vault/secrets/n8n.env"]
)
def test_what_is_each_hosts_own_is_not_compared_between_hosts(path: str) -> None:
    assert state._OWN.fullmatch(path)


@pytest.mark.parametrize(
    "path", ["/etc/ssh/sshd_config", "/etc/passwd.new", "/etc/smarteros/firewall.nft", "/root/Caddyfile"]
)
def test_what_a_deploy_describes_is_compared(path: str) -> None:
    assert not state._OWN.fullmatch(path)


@pytest.mark.parametrize(
    ("mount", "seen"),
    [
        ({"Name": "vault_data", "Source": "/var/lib/docker/volumes/vault_data/_data"}, "vault_data"),
        ({"Name": "9" * 64, "Source": "/var/lib/docker/volumes/9/_data"}, "…"),
        ({"Source": "/opt/smarteros/generations/7-abc/vault"}, "/opt/smarteros/generations/…/vault"),
        ({"Source": "/var/run/docker.sock"}, "/var/run/docker.sock"),
    ],
)
def test_a_mount_is_told_by_what_somebody_has_named(mount: dict[str, str], seen: str) -> None:
    assert state.source(mount) == seen

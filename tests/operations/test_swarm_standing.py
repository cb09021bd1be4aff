"""How each task of a swarm is told."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.model.catalogue import Service
from tasks.operations import swarm_standing
from tasks.operations.container_health import Line
from tasks.operations.swarm_standing import judged, lines, running
from tasks.run import Refused
from tests.samples import container

SERVICE = Service("helpdesk", "Helpdesk", (container("helpdesk-web", replicas=2),), nodes=2)
NODES = {"2": "node-2", "3": "node-3"}
CLOCK = 1796119300  # 2026-12-01T10:01:40Z


def task(slot: int, state: str = "running", desired: str = "running", **more: Any) -> dict[str, Any]:
    status = {"State": state, "Timestamp": f"2026-12-01T10:00:{slot:02}.123456789Z", **more}
    return {"Slot": slot, "NodeID": str(slot + 1), "DesiredState": desired, "Status": status}


def told(*tasks: dict[str, Any]) -> list[tuple[str, ...]]:
    found = judged(SERVICE, SERVICE.main, tasks, NODES, CLOCK)
    return [(line.container, line.state, line.since, line.why) for line in found]


def test_each_task_has_a_line_with_its_node() -> None:
    assert told(task(2), task(1), task(1, "shutdown", "shutdown")) == [
        ("helpdesk-web.1 on node-2", "running", "99 s", ""),
        ("helpdesk-web.2 on node-3", "running", "98 s", ""),
    ]


def test_of_one_that_does_not_run_it_is_said_why() -> None:
    before = task(2, "failed", "shutdown", Err="task: non-zero exit (3)")
    away = {**task(1, "pending", Err="no suitable node (max replicas per node limit exceed)"), "NodeID": ""}
    assert [line[1:] for line in told(away, before, task(2, "starting"))] == [
        ("pending", "99 s", "no suitable node (max replicas per node limit exceed)"),
        ("starting", "98 s", "task: non-zero exit (3)"),
    ]
    assert told(away)[0][0] == "helpdesk-web.1 on no node"
    assert told(task(1), task(2, "preparing"))[1][3] == "its task is preparing"


def test_those_that_are_not_there_are_missed() -> None:
    assert told()[-1] == ("helpdesk-web", "missing", "", "is not in the swarm, or has no task there")
    assert told(task(1))[-1] == ("helpdesk-web", "missing", "", "has 1 of its 2 tasks")


def test_a_swarm_that_does_not_answer_is_said_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> Any:
        raise Refused("docker: its API on node-1 does not answer")

    monkeypatch.setattr(swarm_standing, "_asked", refused)
    assert lines((replace(SERVICE, nodes=0),), CLOCK) == ()
    (line,) = lines((SERVICE,), CLOCK)
    assert (line.container, line.state, line.why) == (
        "helpdesk-web",
        "unknown",
        "docker: its API on node-1 does not answer",
    )
    assert running((SERVICE,)) == {"helpdesk-web": "0 of 2 run"}


def test_who_has_one_line_for_all_says_how_many_run(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {"helpdesk-web": [task(1), task(2, "starting")]}
    monkeypatch.setattr(swarm_standing, "_asked", lambda: (tasks, NODES))
    assert running((SERVICE,)) == {"helpdesk-web": "1 of 2 run"}
    assert isinstance(lines((SERVICE,), CLOCK)[0], Line)

"""A failure of a swarm's service names its task. With real Docker: tests/e2e/test_swarm_spec.py, test_cluster.py."""

from typing import Any

from tasks.operations.swarm_rolling import Wanted, _said

NODES = {"1": "node-1"}


def task(error: str, node: str = "1", slot: int = 2) -> dict[str, Any]:
    return {"NodeID": node, "Slot": slot, "Status": {"Err": error}}


def test_a_failure_names_the_task_that_failed_last() -> None:
    both = [task("first", slot=1), task("task: non-zero exit (3)")]
    assert (
        _said("web", "does not start", both, NODES)
        == "web: it does not start: its task web.2 on node-1 says 'task: non-zero exit (3)'; its last 50 log lines:"
    )
    line = _said("web", "does not start", [task("no suitable node", node="")], NODES)
    assert line.startswith("web: it does not start: its task web.2 on no node says 'no suitable node'")
    assert (
        _said("web", "does not run after 60 s", [], NODES)
        == "web: it does not run after 60 s; its last 50 log lines:"
    )


def test_no_value_of_a_secret_is_shown() -> None:
    assert "canary" not in repr(Wanted("a", {"Name": "a"}, {"secrets": {"a-1": "canary"}}))

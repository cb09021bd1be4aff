"""Rows of the swarm for hosts that are no nodes any more."""

from typing import Any

import pytest

from tasks.operations.nodes_gone import rows
from tasks.run import Refused


def row(number: str, state: str, *labels: str) -> dict[str, Any]:
    return {
        "ID": number,
        "Description": {"Hostname": f"host-{number}"},
        "Status": {"State": state},
        "Spec": {"Role": "worker", "Labels": dict.fromkeys(labels, "1")},
    }


def test_those_of_ours_go_that_are_gone() -> None:
    there = [
        row("1", "ready", "smarteros.data"),
        row("2", "down", "smarteros.apps"),
        row("3", "down", "smarteros.apps"),  # it has come back as 4
        row("4", "ready", "smarteros.apps"),
        row("5", "unknown", "smarteros.apps"),  # a new leader waits for it
        row("6", "down", "theirs"),
        row("7", "ready"),
    ]
    assert [item["ID"] for item in rows(there, ["1", "2", "4"])] == ["3"]


def test_one_that_is_there_is_named_first_or_taken_out() -> None:
    with pytest.raises(Refused) as raised:
        rows([row("1", "ready", "smarteros.data"), row("2", "ready", "smarteros.apps")], ["1"])
    assert str(raised.value) == (
        "swarm: host-2 is there, and this inventory does not name it: do, or take it out first: `docker node demote` on a node that stays, where "
        "it manages, then `docker swarm leave` on it"
    )

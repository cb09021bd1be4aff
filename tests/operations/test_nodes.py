"""What makes one swarm of several hosts, and what is in the way. With real Docker: tests/e2e/test_nodes.py."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.node import Node, NodeFact
from tasks.model.cluster import cluster
from tasks.operations.nodes import Course, course, differing
from tasks.run import Refused

CLUSTER = cluster({"a": ["data", "proxies"], "b": ["apps"], "c": ["apps"]})
WHERE = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}
NOBODY = {"a": Node(), "b": Node(), "c": Node()}


def manager(name: str, *others: str) -> Node:
    ids = tuple(f"id-{each}" for each in (name, *others))
    return Node("active", f"id-{name}", "one", WHERE[name], manages=True, managers=ids)


def worker(name: str, *managers: str) -> Node:
    return Node("active", f"id-{name}", "", WHERE[name], managers=tuple(f"id-{each}" for each in managers))


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (NOBODY, Course("a", "a", ("b", "c"))),
        ({**NOBODY, "a": manager("a")}, Course("", "a", ("b", "c"))),
        ({**NOBODY, "b": manager("b")}, Course("", "b", ("a", "c"))),
        ({"a": manager("a"), "b": worker("b", "a"), "c": Node()}, Course("", "a", ("c",))),
        ({"a": manager("a", "b"), "b": manager("b", "a"), "c": worker("c", "a", "b")}, Course("", "a", ())),
    ],
    ids=["none", "the first", "another", "two", "all"],
)
def test_who_makes_it_who_answers_and_who_comes(found: dict[str, Node], wanted: Course) -> None:
    assert course(found, CLUSTER, WHERE) == wanted


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            {**NOBODY, "b": Node("error", error="certificate has expired")},
            "swarm: b is error in a swarm: certificate has expired: `docker info` there says more",
        ),
        (
            {**NOBODY, "a": replace(manager("a"), address="192.0.2.1")},
            (
                "swarm: a is reached at 192.0.2.1 there, which is for ever, and node_address says 10.0.0.1: set node_address to 192.0.2.1, "
                "or `docker swarm leave` on it"
            ),
        ),
        (
            {**NOBODY, "a": replace(manager("a"), error="The swarm does not have a leader")},
            (
                "swarm: a decides nothing (The swarm does not have a leader): more than half of its managers are away; what runs goes on meanwhile. "
                "Where they never come back, `docker swarm init --force-new-cluster --advertise-addr 10.0.0.1` on a makes it the only one, with all "
                "networks and services; then `systemctl restart docker`, as Docker has forgotten its containers' names"
            ),
        ),
        (
            {**NOBODY, "b": worker("b", "x")},
            "swarm: b works for managers that are not in this inventory: `docker swarm leave` there, or name them",
        ),
        (
            {**NOBODY, "a": manager("a"), "b": worker("b", "x")},
            "swarm: b works for managers that are not in this inventory: `docker swarm leave` there, or name them",
        ),
        (
            {**NOBODY, "a": manager("a"), "c": replace(manager("c"), cluster="two")},
            "swarm: a and c are in two swarms, which nobody can make one: `docker swarm leave` on one of them",
        ),
    ],
    ids=["broken", "elsewhere", "without a leader", "foreign", "a foreign worker", "two"],
)
def test_what_is_in_the_way_is_refused(found: dict[str, Node], said: str) -> None:
    with pytest.raises(Refused) as raised:
        course(found, CLUSTER, WHERE)
    assert str(raised.value) == said


def test_a_node_has_the_labels_of_its_groups_and_keeps_others() -> None:
    spec: dict[str, Any] = {
        "Availability": "active",
        "Role": "worker",
        "Labels": {"theirs": "1", "smarteros.home.n8n": "1", "smarteros.apps": "1"},
    }
    wanted = differing(spec, CLUSTER, "a")
    assert wanted == {
        "Availability": "active",
        "Role": "manager",
        "Labels": {"theirs": "1", "smarteros.home.n8n": "1", "smarteros.data": "1", "smarteros.proxies": "1"},
    }
    assert differing(wanted, CLUSTER, "a") is None
    assert differing({"Role": "manager", "Labels": None}, CLUSTER, "b") == {
        "Role": "manager",
        "Labels": {"smarteros.apps": "1"},
    }


SWARM = {
    "NodeID": "x",
    "NodeAddr": "10.0.0.1",
    "LocalNodeState": "active",
    "ControlAvailable": True,
    "Error": "",
    "RemoteManagers": [{"NodeID": "x", "Addr": "10.0.0.1:2377"}],
    "Cluster": {"ID": "one"},
}


def test_what_docker_says_of_a_node() -> None:
    fact = NodeFact()
    assert fact.process(["encrypts", json.dumps(SWARM)]) == Node(
        "active", "x", "one", "10.0.0.1", manages=True, managers=("x",)
    )
    outside = {
        **SWARM,
        "NodeID": "",
        "NodeAddr": "",
        "LocalNodeState": "inactive",
        "ControlAvailable": False,
        "RemoteManagers": None,
        "Cluster": None,
    }
    assert (
        fact.process(["encrypts", json.dumps(outside)])
        == fact.process(["encrypts"])
        == fact.default()
        == Node()
    )
    why = "RTNETLINK answers: Protocol not supported"
    assert fact.process([f"plain {why}"]) == Node(plain=why)
    for text in ("{", "[]", '{"RemoteManagers": [{}]}'):
        with pytest.raises(FactProcessError):
            fact.process(["encrypts", text])

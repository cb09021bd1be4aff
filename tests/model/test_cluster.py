"""An inventory's groups → the nodes of a swarm, and what no swarm can be made of."""

import pytest

from tasks.model.cluster import Cluster, cluster
from tasks.model.stack import BadSettings

THREE = {"a": ["data", "proxies"], "b": ["proxies"], "c": []}


def roles(found: Cluster) -> dict[str, list[str]]:
    return {node: sorted(names) for node, names in found.roles.items()}


def test_groups_say_what_a_node_is_for() -> None:
    assert roles(cluster(THREE)) == {
        "a": ["data", "managers", "proxies"],
        "b": ["managers", "proxies"],
        "c": ["apps", "managers"],
    }
    assert cluster(THREE).labels("a") == {"smarteros.proxies": "1", "smarteros.data": "1"}
    assert cluster(THREE).of("proxies") == ("a", "b")


def test_managers_are_the_first_three_or_those_that_are_named() -> None:
    five = {**THREE, "d": ["apps"], "e": ["monitoring", "nodes"]}
    assert cluster(five).of("managers") == ("a", "b", "c")
    assert cluster({**five, "e": ["managers"]}).of("managers") == ("e",)
    assert roles(cluster({**five, "e": ["managers"]}))["e"] == ["apps", "managers"]
    assert cluster({"a": ["data", "proxies"], "b": []}).of("managers") == ("a",)


@pytest.mark.parametrize(
    ("groups", "lines"),
    [
        (
            {"a": ["nodes"], "b": ["nodes"]},
            [
                (
                    "nodes: a, b are several hosts, and no group says what each is for: name those of proxies, data, replicas, apps, monitoring "
                    "in the inventory, or deploy each as a stack of its own, from an inventory of its own"
                )
            ],
        ),
        (
            {"a": ["data", "proxies", "managers"], "b": ["managers"]},
            ["managers: a, b are 2, and a swarm decides by more than half of them: name one, or 3"],
        ),
        (
            {"a": ["data"], "b": ["data"], "c": ["monitoring"]},
            [
                "data: a, b has that group, and the databases run on one: put one host into it",
                "proxies: no host is in that group, and some service runs nowhere else: put one into it",
                "apps: no host is in that group, and some service runs nowhere else: put one into it",
            ],
        ),
        (
            {"a": ["data"], "b": ["proxies"], "c": []},
            [
                (
                    "proxies: a, which has the group data, is not among them, and what replaces a service there tells the proxy beside it first: "
                    "put it into that group, whether names lead to it or not"
                )
            ],
        ),
        (
            {"a": ["proxies"], "b": []},
            ["data: no host has that group, and the databases run on one: put one host into it"],
        ),
    ],
)
def test_what_is_no_cluster_is_refused_as_a_whole(groups: dict[str, list[str]], lines: list[str]) -> None:
    with pytest.raises(BadSettings) as raised:
        cluster(groups)
    assert list(raised.value.lines) == lines

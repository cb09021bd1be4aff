"""Three hosts in one swarm: made, grown, the same again, and what is somebody else's."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.deployment import Deployment, Run
from tests.lab.lab import Lab

NAMES = ("node-1", "node-2", "node-3")
IMAGE = "redis:7.4.11-alpine"
GROUPS = {"node-1": ["data", "proxies"], "node-2": ["apps", "proxies"], "node-3": []}


@pytest.fixture(scope="module")
def three(lab: Lab) -> Iterator[list[Deployment]]:
    """Hosts with Docker as their distribution ships it."""
    hosts = [Deployment(lab, lab.add_host(name, system="docker")) for name in NAMES]
    yield hosts
    for name in NAMES:
        lab.remove_host(name)


def run(
    hosts: list[Deployment],
    *names: str,
    code: int | None = 0,
    mtu: int = 0,
    encrypted: bool = False,
    **groups: list[str],
) -> Run:
    """One run on these of them."""
    chosen = {
        name: {**GROUPS, **{key.replace("_", "-"): found for key, found in groups.items()}}[name]
        for name in names
    }
    addresses = {host.host.name: host.host.address for host in hosts}
    given = {"mtu": mtu, "encrypted": encrypted, "groups": chosen, "addresses": addresses}
    limits = [word for name in names[1:] for word in ("--limit", name)]
    made = hosts[0].run(
        *limits, deploy="tests/e2e/deploys/nodes.py", environment={"NODES": json.dumps(given)}
    )
    assert code in (None, made.code), made.output[-4000:]
    return made


def seen(host: Deployment) -> dict[str, tuple[str, Any]]:
    """Address of each node → its role and labels, as a manager has them."""
    found = json.loads(host.sh("docker node inspect $(docker node ls -q)"))
    return {item["Status"]["Addr"]: (item["Spec"]["Role"], item["Spec"]["Labels"]) for item in found}


def test_one_host_becomes_three(three: list[Deployment]) -> None:
    first, second, third = three
    run(three, *NAMES[:1], node_1=["data", "proxies", "apps"])
    assert list(seen(first).values()) == [
        ("manager", {"smarteros.apps": "1", "smarteros.data": "1", "smarteros.proxies": "1"})
    ]
    tokens = first.sh("docker swarm join-token -q manager; docker swarm join-token -q worker")
    grown = run(three, *NAMES)
    assert "SWMTKN" not in grown.output
    assert seen(first) == {
        first.host.address: ("manager", {"smarteros.data": "1", "smarteros.proxies": "1"}),
        second.host.address: ("manager", {"smarteros.apps": "1", "smarteros.proxies": "1"}),
        third.host.address: ("manager", {"smarteros.apps": "1"}),
    }
    assert (
        first.sh("docker swarm join-token -q manager; docker swarm join-token -q worker").split()[0]
        not in tokens
    )
    run(three, *NAMES).unchanged()


def test_containers_of_all_nodes_reach_one_another_by_name(three: list[Deployment]) -> None:
    first, second, third = three
    third.sh("docker network create tenants-net")
    refused = run(three, *NAMES, code=1, mtu=1500)
    assert "networks: tenants-net on node-3 is a bridge of its own" in refused.output
    third.sh("docker network rm tenants-net")
    for host in (second, third):
        host.sh(f"docker pull --quiet {IMAGE}", timeout=300)
    # This machine's kernel is all three hosts': an encrypted network is refused, or it works.
    tried = run(three, *NAMES, code=None, mtu=1500, encrypted=True)
    if tried.code:
        assert "overlay_encryption: the kernel of node-1 encrypts nothing between nodes (" in tried.output
        assert "smarter-net" not in first.sh("docker network ls")
    else:
        answered(second, third)
        first.sh("docker network rm smarter-net tenants-net")
    run(three, *NAMES, mtu=1500)
    run(three, *NAMES, mtu=1500).unchanged()
    found = json.loads(first.sh("docker network inspect smarter-net"))[0]
    assert (found["Attachable"], found["Options"]["com.docker.network.driver.mtu"]) == (True, "1400")
    answered(second, third)


def answered(one: Deployment, other: Deployment) -> None:
    """A container of the one is asked by its name from the other, and told more than one packet holds."""
    one.sh(f"docker run --detach --name answers --network smarter-net {IMAGE}")
    ask = f"docker run --rm -i --network smarter-net {IMAGE} redis-cli -h answers"
    assert other.sh(f"head -c 100000 /dev/zero | {ask} -x set key").strip() == "OK"
    one.sh("docker rm --force answers")


def test_what_a_node_is_for_changes_and_other_labels_stay(three: list[Deployment]) -> None:
    first, second, third = three
    node = second.sh("docker info --format '{{.Swarm.NodeID}}'").strip()
    first.sh(f"docker node update --label-add theirs=1 --label-add smarteros.home.n8n=1 {node}")
    run(three, *NAMES, node_1=["data", "proxies", "managers"], node_3=["monitoring"])
    roles = {address: role for address, (role, _) in seen(first).items()}
    assert sorted(roles.values()) == ["manager", "worker", "worker"]
    assert seen(first)[third.host.address] == ("worker", {"smarteros.monitoring": "1"})
    kept = {"theirs": "1", "smarteros.home.n8n": "1", "smarteros.apps": "1", "smarteros.proxies": "1"}
    assert seen(first)[second.host.address] == ("worker", kept)
    run(three, *NAMES, node_1=["data", "proxies", "managers"], node_3=["monitoring"]).unchanged()


def test_what_is_somebody_elses_is_left_alone(three: list[Deployment]) -> None:
    """A node that is away from the swarm for good, and one that has made its own meanwhile."""
    third = three[2]
    third.sh("docker swarm leave")
    address = third.host.address
    third.sh(f"docker swarm init --advertise-addr {address}")
    before = third.sh("docker info --format '{{.Swarm.Cluster.ID}}'")
    refused = run(three, *NAMES, code=1, node_1=["data", "proxies", "managers"], node_3=["monitoring"])
    assert "node-1 and node-3 are in two swarms" in refused.output
    assert third.sh("docker info --format '{{.Swarm.Cluster.ID}}'") == before

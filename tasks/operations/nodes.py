"""Nodes: the hosts of a cluster in one swarm, each as what its groups say. What is somebody else's swarm is never left, nor joined.

Where a node is reached is its for ever: Docker keeps it even where a swarm is made anew of what is left (moby#34306).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gevent.lock import RLock
from pyinfra import context
from pyinfra.api.host import Host

from tasks.clients.engine_api import Api
from tasks.connection import grouped
from tasks.facts import DockerFact, MachineFact
from tasks.facts.node import ACTIVE, NONE, Node, NodeFact
from tasks.model.cluster import HOME, LABEL, MANAGERS, Cluster
from tasks.model.stack import Stack
from tasks.model.subnets import Claim
from tasks.operations import networks, nodes_gone
from tasks.run import Commands, Refused, executing, host, known, operation, step

PORT = 2377
# One after the other: each new manager is a vote that the others agree on.
_ONE = RLock()
# Who never has more ended tasks of a service to look back on than its last two keeps nobody's disk.
_KEPT_TASKS = 2


@dataclass(frozen=True)
class Course:
    """What makes one swarm of the nodes. makes: who makes it, empty where it is there. asks: who answers for it. joins: who comes to it."""

    makes: str
    asks: str
    joins: tuple[str, ...]


def course(found: Mapping[str, Node], cluster: Cluster, addresses: Mapping[str, str]) -> Course:
    """Pure. found: node → what its Docker says; addresses: where the others reach it. Raises Refused with all that is in the way."""
    if lines := [*_wrong(found, addresses)]:
        raise Refused("\n".join(lines))
    asks = answers(found, cluster)
    makes = "" if found[asks].manages else asks
    return Course(
        makes, asks, tuple(name for name, node in found.items() if node.state == NONE and name != asks)
    )


def answers(found: Mapping[str, Node], cluster: Cluster) -> str:
    """A node that manages, or the one that is to."""
    managing = [name for name, node in found.items() if node.manages]
    return next(
        (name for name in cluster.of(MANAGERS) if name in managing),
        next(iter(managing), cluster.of(MANAGERS)[0]),
    )


def _wrong(found: Mapping[str, Node], addresses: Mapping[str, str]) -> Iterator[str]:
    there = {name: node for name, node in found.items() if node.state == ACTIVE}
    for name, node in found.items():
        if node.state not in (NONE, ACTIVE):
            yield f"swarm: {name} is {node.state} in a swarm: {node.error or 'its Docker says no more'}: `docker info` there says more"
        elif node.manages and node.error:
            yield (
                f"swarm: {name} decides nothing ({node.error}): more than half of its managers are away; what runs goes on meanwhile. Where "
                f"they never come back, `docker swarm init --force-new-cluster --advertise-addr {node.address or addresses[name]}` on {name} makes "
                "it the only one, with all networks and services; then `systemctl restart docker`, as Docker has forgotten its containers' names"
            )
        elif node.address and node.address != addresses[name]:
            yield (
                f"swarm: {name} is reached at {node.address} there, which is for ever, and node_address says {addresses[name]}: set "
                f"node_address to {node.address}, or `docker swarm leave` on it"
            )
    clusters = {node.cluster: name for name, node in there.items() if node.cluster}
    if len(clusters) > 1:
        yield f"swarm: {' and '.join(clusters.values())} are in two swarms, which nobody can make one: `docker swarm leave` on one of them"
    ours = {node.id for node in there.values()}
    for name, node in there.items():
        if not node.manages and ours.isdisjoint(node.managers):
            yield f"swarm: {name} works for managers that are not in this inventory: `docker swarm leave` there, or name them"


def nodes(cluster: Cluster) -> dict[str, Node]:
    """What the Docker of each says."""
    found = {}
    for name in cluster.roles:
        with context.ctx_host.use(grouped.named(name)):
            found[name] = known(NodeFact)
    return found


def around(cluster: Cluster, settings: Stack) -> tuple[list[int], tuple[Claim, ...]]:
    """The MTU of each node's way out, and what is somebody's around any of them."""
    mtus, claims = [], []
    for name in cluster.roles:
        with context.ctx_host.use(grouped.named(name)):
            machine, docker = known(MachineFact), known(DockerFact)
            mtus.append(int(networks.wanted_mtu(machine, settings) or networks.ETHERNET))
            claims += [
                replace(item, holder=f"{item.holder} on {name}") for item in networks.held(machine, docker)
            ]
    return mtus, tuple(claims)


def refusals() -> Iterator[str]:
    """What speaks against the swarm as a whole, said by the node that would make it."""
    cluster = grouped.cluster()
    if cluster and host().name == cluster.of(MANAGERS)[0] and not grouped.away(cluster):
        yield from _wrong(nodes(cluster), grouped.addresses(cluster))


@operation
def made(cluster: Cluster, addresses: Mapping[str, str], settings: Stack) -> Commands:
    """The swarm is there, on the one node that makes it."""
    planned = course(nodes(cluster), cluster, addresses)
    if planned.makes == host().name:
        subnet = networks.chosen("what Docker's swarm has for itself", settings, around(cluster, settings)[1])
        body = {
            **_at(addresses[planned.makes]),
            "DefaultAddrPool": [str(subnet)],
            "SubnetSize": subnet.prefixlen,
            "Spec": {"Orchestration": {"TaskHistoryRetentionLimit": _KEPT_TASKS}},
        }
        yield step(partial(_told, host(), "/swarm/init", body)) if executing() else "true"


@operation
def joined(cluster: Cluster, addresses: Mapping[str, str]) -> Commands:
    """The host is one of its nodes. What lets it in travels in bodies alone, and is another one afterwards."""
    asks = answers(nodes(cluster), cluster)  # not what the others are at: they join meanwhile
    if known(NodeFact).state == NONE and asks != host().name:
        yield step(lambda: _joined(cluster, asks, addresses)) if executing() else "true"


def _joined(cluster: Cluster, asks: str, addresses: Mapping[str, str]) -> None:
    name = host().name
    part = "Manager" if MANAGERS in cluster.roles[name] else "Worker"
    with _ONE, Api(grouped.named(asks)) as manager:
        token = manager.get("/swarm")["JoinTokens"][part]
        to = {"RemoteAddrs": [f"{addresses[asks]}:{PORT}"], "JoinToken": token}
        _told(host(), "/swarm/join", {**_at(addresses[name]), **to})
        there = manager.get("/swarm")
        rotated = {"version": there["Version"]["Index"], f"rotate{part}Token": "true"}
        manager.post("/swarm/update", there["Spec"], **rotated)


def _told(target: Host, path: str, body: Mapping[str, Any], **query: Any) -> None:
    with Api(target) as engine:
        engine.post(path, body, **query)


def _at(address: str) -> dict[str, str]:
    return {"ListenAddr": f"{address}:{PORT}", "AdvertiseAddr": address, "DataPathAddr": address}


@operation
def described(cluster: Cluster, addresses: Mapping[str, str]) -> Commands:
    """Each node has the role and the labels that its groups say; labels that are not ours stay."""
    found = nodes(cluster)
    planned = course(found, cluster, addresses)
    if planned.asks != host().name:
        return
    if planned.makes or planned.joins:  # while it is only planned
        yield "true"
        return
    ids = {node.id: name for name, node in found.items()}
    with Api(host()) as engine:
        there = engine.get("/nodes")
    # Before any role changes: who is gone for ever counts among those of whom more than half decide.
    for item in nodes_gone.rows(there, ids):
        host().log(
            f"{item['Description']['Hostname']}: {item['ID']} is gone, and no node of this inventory any more: its row goes"
        )
        yield step(partial(nodes_gone.removed, host(), item["ID"])) if executing() else "true"
    for item in there:
        name = ids.get(item["ID"])
        if name and (spec := differing(item["Spec"], cluster, name)):
            change = f"/nodes/{item['ID']}/update"
            told = partial(_told, host(), change, spec, version=item["Version"]["Index"])
            yield step(told) if executing() else "true"


def differing(spec: Mapping[str, Any], cluster: Cluster, name: str) -> dict[str, Any] | None:
    """What the node's spec is to be; None where it is so. Pure."""
    theirs = {
        key: value
        for key, value in (spec.get("Labels") or {}).items()
        if not key.startswith(LABEL) or key.startswith(HOME)
    }
    wanted = {
        **spec,
        "Role": "manager" if MANAGERS in cluster.roles[name] else "worker",
        "Labels": {**theirs, **cluster.labels(name)},
    }
    return None if wanted == {**spec, "Labels": spec.get("Labels") or {}} else wanted

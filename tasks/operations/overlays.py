"""Overlays: the networks that the nodes of a swarm have in common, made once, on a node that manages.

What they are is for ever: Docker changes neither an overlay's MTU nor its encryption. A node's own bridge of the same name would be taken
by its containers without a word, so none may be left.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network
from typing import Any

from pyinfra import context

from tasks.clients.engine_api import Api
from tasks.connection import grouped
from tasks.facts import DockerFact
from tasks.facts.bridges import MTU_OPTION, NETWORK_LABEL, POOL_LABEL
from tasks.facts.node import NodeFact
from tasks.model.cluster import Cluster
from tasks.model.stack import Stack
from tasks.model.subnets import Claim
from tasks.operations import making_way, nodes
from tasks.operations.networks import chosen
from tasks.run import Commands, Refused, executing, host, known, operation, stack, step

# What VXLAN puts around a packet, and ESP around that, where it is encrypted: 50 and up to 40 bytes.
ROOM = 100
_ENCRYPTED = "encrypted"


@dataclass(frozen=True)
class Overlay:
    """One of them. mtu: bytes of a packet within."""

    name: str
    subnet: str
    pool: str
    mtu: int
    encrypted: bool

    @property
    def body(self) -> dict[str, Any]:
        """As the Engine API takes it. Containers of Compose may join it, too."""
        return {
            "Name": self.name,
            "Driver": "overlay",
            "Attachable": True,
            "IPAM": {"Config": [{"Subnet": self.subnet}]},
            "Options": {MTU_OPTION: str(self.mtu), **({_ENCRYPTED: "true"} if self.encrypted else {})},
            "Labels": {NETWORK_LABEL: "yes", POOL_LABEL: self.pool},
        }


@dataclass(frozen=True)
class Around:
    """networks: node → its networks, in the Engine API's words. mtu: the smallest of the nodes' ways to one another. claims: what is taken
    on any of them. plain: node → why its kernel encrypts nothing.
    """

    networks: Mapping[str, Sequence[Mapping[str, Any]]]
    mtu: int
    claims: tuple[Claim, ...] = ()
    plain: Mapping[str, str] = field(default_factory=dict)


def planned(names: Iterable[str], around: Around, settings: Stack, *, encrypted: bool) -> list[Overlay]:
    """Those that are missing. Pure. Raises Refused with all that is in the way."""
    names, mtu = tuple(names), around.mtu - ROOM
    if lines := [*_wrong(names, around, mtu, encrypted=encrypted)]:
        raise Refused("\n".join(lines))
    there = {item["Name"] for found in around.networks.values() for item in found}
    claims, made = [*around.claims, *_taken(around)], []
    for name in names:
        if name in there:
            continue
        subnet = chosen(name, settings, claims)
        claims.append(Claim(subnet, f"Docker's network {name}"))
        pool = next((pool for pool in settings.network_pools if subnet.subnet_of(IPv4Network(pool))), "")
        made.append(Overlay(name, str(subnet), pool, mtu, encrypted))
    return made


def _taken(around: Around) -> Iterator[Claim]:
    for node, found in around.networks.items():
        for item in found:
            for block in (item.get("IPAM") or {}).get("Config") or ():
                if ":" not in block.get("Subnet", ":"):
                    yield Claim(IPv4Network(block["Subnet"]), f"Docker's network {item['Name']} on {node}")


def _wrong(names: Sequence[str], around: Around, mtu: int, *, encrypted: bool) -> Iterator[str]:
    for node, why in around.plain.items():
        if encrypted and why:
            yield _plain(node, why)
    seen = set()
    for node, found in around.networks.items():
        for item in found:
            name = item["Name"]
            if name not in names:
                continue
            if item["Driver"] != "overlay":
                yield _bridged(name, item["Driver"], node)
            elif name not in seen and (why := _other(item, mtu, encrypted=encrypted)):
                yield f"networks: {name} {why}, which no overlay changes: take all out of it and `docker network rm {name}`, or leave the settings as they were"
            seen.add(name)


def refusals() -> Iterator[str]:
    """What of that can be said of the host before anything is changed."""
    if grouped.cluster() is None:
        return
    if stack().overlay_encryption and (why := known(NodeFact).plain):
        yield _plain(host().name, why)
    there, names = known(DockerFact).networks, grouped.shared(stack())
    for name in names:
        if name in there and there[name].driver != "overlay" and name not in making_way.bridged(names):
            yield _bridged(name, there[name].driver, host().name)


def _plain(node: str, why: str) -> str:
    return (
        f"overlay_encryption: the kernel of {node} encrypts nothing between nodes ({why}), and its packets would be lost in silence: "
        "another kernel does (CONFIG_INET_ESP, GCM), or set it to False, and what the nodes say to one another can be read on their way"
    )


def _bridged(name: str, driver: str, node: str) -> str:
    return (
        f"networks: {name} on {node} is a {driver} of its own, and what is to join the swarm's network would join that: take its "
        f"containers out and `docker network rm {name}` there"
    )


def _other(item: Mapping[str, Any], mtu: int, *, encrypted: bool) -> str:
    options = item.get("Options") or {}
    if int(options.get(MTU_OPTION) or mtu) > mtu:
        return f"has an MTU of {options[MTU_OPTION]}, and the nodes leave room for {mtu}"
    if (_ENCRYPTED in options) != encrypted:
        return "is encrypted" if _ENCRYPTED in options else "is not encrypted"
    return "" if item.get("Attachable") else "lets no container of Compose in"


@operation
def overlays(names: Iterable[str], cluster: Cluster, settings: Stack, *, encrypted: bool) -> Commands:
    """They are there."""
    there = nodes.nodes(cluster)
    if nodes.answers(there, cluster) != host().name:
        return
    plain = {name: node.plain for name, node in there.items()}
    found = {name: [*_there(name, cluster)] for name in cluster.roles}
    mtus, claims = nodes.around(cluster, settings)
    around = Around(found, min(mtus), claims, plain)
    for overlay in planned(names, around, settings, encrypted=encrypted):
        how = "encrypted" if encrypted else "readable between the nodes"
        host().log(f"{overlay.name}: {overlay.subnet}, MTU {overlay.mtu}, {how}")
        yield step(partial(_made, overlay)) if executing() else "true"


def _there(node: str, cluster: Cluster) -> Iterator[Mapping[str, Any]]:
    """Without what makes way before, of which nothing is left by then."""
    for item in _all() if node == host().name else _own(node):
        way = "data" in cluster.roles[node] and (item.get("Labels") or {}).get(NETWORK_LABEL) == "yes"
        if executing() or not (way and item["Driver"] == "bridge"):
            yield item


def _all() -> list[dict[str, Any]]:
    """Those of the node that manages: its own, and what all have in common."""
    with Api(host()) as engine:
        found: list[dict[str, Any]] = engine.get("/networks")
    return found


def _own(node: str) -> Iterator[dict[str, Any]]:
    """Those that are another node's alone, in the same words, as far as they are asked for."""
    with context.ctx_host.use(grouped.named(node)):
        found = [item for item in known(DockerFact).networks.values() if item.driver != "overlay"]
    for item in found:
        blocks = [{"Subnet": subnet} for subnet in item.subnets]
        labels = {NETWORK_LABEL: "yes"} if item.ours else {}
        yield {"Name": item.name, "Driver": item.driver, "Labels": labels, "IPAM": {"Config": blocks}}


def _made(overlay: Overlay) -> None:
    with Api(host()) as engine:
        engine.post("/networks/create", overlay.body)

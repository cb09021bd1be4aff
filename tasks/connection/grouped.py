"""Grouped: the hosts of a run's inventory as one cluster, where their groups say so, and what each of them is in it."""

from typing import Any

from pyinfra.api.host import Host

from tasks.connection.memory import host, remember
from tasks.connection.said import Said
from tasks.model import cluster as model
from tasks.model.catalogue import COMMON, Service
from tasks.model.cluster import Cluster
from tasks.model.stack import BadSettings, Stack


def cluster() -> Cluster | None:
    """None where the inventory has one host, or no host of it is in a group that says what it is for. Raises Said."""
    return remember("cluster", _cluster)


def _cluster() -> Cluster | None:
    groups = {each.name: tuple(each.groups) for each in host().state.inventory}
    if len(groups) == 1 or not model.grouped(groups):
        return None
    try:
        return model.cluster(groups)
    except BadSettings as error:
        lines = "\n".join(f"    {line}" for line in error.lines)
        raise Said(f"the hosts of this inventory are no cluster that can be deployed:\n{lines}") from None


def here(service: Service) -> bool:
    """Whether the host has to do with it: its own Compose runs it or, of a swarm's tasks (spread.py), its data's node looks after them."""
    nodes = cluster()
    return nodes is None or nodes.composes(host().name, service.role)


def tasks(service: Service) -> bool:
    """Whether the host needs its images: its swarm may start tasks of it here, or the host looks after them."""
    nodes = cluster()
    return (
        nodes is not None and service.nodes > 0 and not nodes.roles[host().name].isdisjoint(("apps", "data"))
    )


def elsewhere() -> bool:
    """Whether services, their data and Vault are another node's: what a command does with one of these it does there."""
    nodes = cluster()
    return nodes is not None and "data" not in nodes.roles[host().name]


def addresses(nodes: Cluster) -> dict[str, str]:
    """Where each node is reached by the others: where it says, else where SSH has found it."""
    there = {name: named(name) for name in nodes.roles}
    return {name: str(found.data.get("node_address") or reached(found)) for name, found in there.items()}


def away(nodes: Cluster) -> tuple[str, ...]:
    """Those that this run leaves out (``--limit``), and is not connected with."""
    return tuple(name for name in nodes.roles if not host().state.is_host_in_limit(named(name)))


def named(name: str) -> Host:
    """The host of that name."""
    found: Host = host().state.inventory.get_host(name)
    return found


def shared(settings: Stack) -> tuple[str, ...]:
    """The networks that all nodes have in common; none of one host."""
    return tuple(name for name in settings.networks if name in COMMON) if cluster() else ()


def own(settings: Stack) -> tuple[str, ...]:
    """Those of ours that are the host's alone; of a cluster's nodes only the one with the data has any."""
    if elsewhere():
        return ()
    return tuple(name for name in settings.bridges if name not in shared(settings))


def reached(target: Host) -> str:
    """Where SSH has found it; empty where it is this machine."""
    client: Any = getattr(target.connector, "client", None)
    return str(client.get_transport().getpeername()[0]) if client else ""


def placed(settings: Stack) -> Stack:
    """The host's settings as those of a node: the others are its peers; what is backed up, and where Vault is for what tells, is the data."""
    nodes = cluster()
    if nodes is None:
        return settings
    where = addresses(nodes)
    others = [address for name, address in where.items() if name != host().name and address]
    proxies = tuple(where[name] for name in nodes.of("proxies"))
    changed: dict[str, Any] = {"peers": tuple(dict.fromkeys((*settings.peers, *others)))}
    if elsewhere():
        changed |= {"backup": None, "notify": None}
    return settings.model_copy(update=changed).with_nodes(proxies, len(nodes.of("apps")))

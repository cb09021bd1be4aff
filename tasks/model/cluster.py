"""Cluster: the hosts of an inventory as the nodes of one swarm, by the groups that they are in. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from tasks.model.stack import BadSettings

MANAGERS = "managers"
# What a node is for; the catalogue says which of them a service needs (catalogue.Role).
ROLES = ("proxies", "data", "replicas", "apps", "monitoring")
# Of a node's labels those that say what it is for, and where a service's volumes are.
LABEL, HOME = "smarteros.", "smarteros.home."
# Two of them are less than one: neither decides anything while the other is away (moby#41250).
_MANAGERS = 3


@dataclass(frozen=True)
class Cluster:
    """roles: node → what it is for, in the inventory's order, the managers' beside the others."""

    roles: Mapping[str, frozenset[str]]

    def of(self, role: str) -> tuple[str, ...]:
        """The nodes that have it."""
        return tuple(node for node, roles in self.roles.items() if role in roles)

    def composes(self, node: str, role: str) -> bool:
        """Whether its own Compose runs a service of that role: the proxy on each node of proxies, all else where the data is."""
        return ("proxies" if role == "proxies" else "data") in self.roles[node]

    def labels(self, node: str) -> dict[str, str]:
        """Those of ours that it has to have, without where volumes are."""
        return {f"{LABEL}{role}": "1" for role in ROLES if role in self.roles[node]}


def cluster(groups: Mapping[str, Collection[str]]) -> Cluster:
    """Each host with the names of its groups, in the inventory's order → its nodes. Raises BadSettings."""
    named = {node: frozenset({MANAGERS, *ROLES} & set(found)) for node, found in groups.items()}
    managers = [node for node, roles in named.items() if MANAGERS in roles] or [*named][: _few(len(named))]
    roles = {
        node: (found & {*ROLES} or {"apps"}) | ({MANAGERS} if node in managers else set())
        for node, found in named.items()
    }
    made = Cluster({node: frozenset(found) for node, found in roles.items()})
    if lines := [*_wrong(made, groups)]:
        raise BadSettings(lines)
    return made


def grouped(groups: Mapping[str, Collection[str]]) -> bool:
    """Whether any host is in a group that says what it is for."""
    return any({MANAGERS, *ROLES} & set(found) for found in groups.values())


def _few(count: int) -> int:
    return _MANAGERS if count >= _MANAGERS else 1


def _wrong(made: Cluster, groups: Mapping[str, Collection[str]]) -> Iterator[str]:
    if not {*ROLES} & {name for found in groups.values() for name in found}:
        yield (
            f"nodes: {', '.join(groups)} are several hosts, and no group says what each is for: name those of "
            f"{', '.join(ROLES)} in the inventory, or deploy each as a stack of its own, from an inventory of its own"
        )
        return
    managers = made.of(MANAGERS)
    if len(managers) % 2 == 0:
        yield (
            f"{MANAGERS}: {', '.join(managers)} are {len(managers)}, and a swarm decides by more than half of them: name one, or {_MANAGERS}"
        )
    data = made.of("data")
    if len(data) != 1:
        yield f"data: {', '.join(data) or 'no host'} has that group, and the databases run on one: put one host into it"
    elif made.of("proxies") and data[0] not in made.of("proxies"):
        yield (
            f"proxies: {data[0]}, which has the group data, is not among them, and what replaces a service there tells the proxy beside it first: "
            "put it into that group, whether names lead to it or not"
        )
    for role in ("proxies", "apps"):
        if not made.of(role):
            yield f"{role}: no host is in that group, and some service runs nowhere else: put one into it"

"""Node: a host as its own Docker knows it as a part of a swarm."""

import json
from dataclasses import dataclass

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

# What an encrypted overlay needs of a kernel, tried between two addresses that are nobody's, and taken away again: without it Docker makes
# the network, starts tasks, resolves their names, and no packet comes through.
_ESP = """
state="src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1234"
how="reqid 1 mode transport aead rfc4106(gcm(aes)) 0x0102030405060708090a0b0c0d0e0f1011121314 64"
if said=$(ip xfrm state add $state $how 2>&1) && said=$(ip xfrm state delete $state 2>&1); then echo encrypts; else echo "plain $said" | tail -n 1; fi
""".strip()

# Who was in which of the host's own bridges, while these make way for the networks that all nodes have in common (making_way.py).
MOVING = "/var/lib/smarteros/moving/members"

# Docker's words for a node's part in a swarm (moby, api/types/swarm LocalNodeState).
NONE, ACTIVE = "inactive", "active"


@dataclass(frozen=True)
class Node:
    """state: NONE or ACTIVE, or what is in the way. id, cluster, address: empty outside of a swarm, the cluster's also where it only
    works. manages: whether it decides with others. error: Docker's own words. plain: why its kernel encrypts nothing between nodes, empty where
    it does.
    """

    state: str = NONE
    id: str = ""
    cluster: str = ""
    address: str = ""
    manages: bool = False
    error: str = ""
    managers: tuple[str, ...] = ()
    plain: str = ""
    moving: bool = False


class NodeFact(FactBase[Node]):
    """Node."""

    def command(self) -> str:
        """Docker's own account, as JSON."""
        return f"{_ESP}\n[ ! -e {MOVING} ] || echo moving\n! command -v docker >/dev/null || docker info --format '{{{{json .Swarm}}}}'"

    @staticmethod
    def default() -> Node:
        """There is no Docker."""
        return Node()

    def process(self, output: list[str]) -> Node:
        """Raises FactProcessError for what no Docker prints."""
        try:
            esp, *rest = output or ["encrypts"]
            moving = rest[:1] == ["moving"]
            found = json.loads("".join(rest[moving:]) or "{}")
            return Node(
                found.get("LocalNodeState") or NONE,
                found.get("NodeID") or "",
                (found.get("Cluster") or {}).get("ID") or "",
                found.get("NodeAddr") or "",
                bool(found.get("ControlAvailable")),
                found.get("Error") or "",
                tuple(item["NodeID"] for item in found.get("RemoteManagers") or ()),
                "" if esp == "encrypts" else esp.removeprefix("plain ") or "it does not say why",
                moving,
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise FactProcessError(f"cannot read what Docker says of its swarm: {error}") from None

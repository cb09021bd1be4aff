"""Node: a host as its own Docker knows it as a part of a swarm."""

import json
from dataclasses import dataclass

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

# Docker's words for a node's part in a swarm (moby, api/types/swarm LocalNodeState).
NONE, ACTIVE = "inactive", "active"


@dataclass(frozen=True)
class Node:
    """state: NONE or ACTIVE, or what is in the way. id, cluster, address: empty outside of a swarm, the cluster's also where it only
    works. manages: whether it decides with others. error: Docker's own words.
    """

    state: str = NONE
    id: str = ""
    cluster: str = ""
    address: str = ""
    manages: bool = False
    error: str = ""
    managers: tuple[str, ...] = ()


class NodeFact(FactBase[Node]):
    """Node."""

    def command(self) -> str:
        """Docker's own account, as JSON."""
        return "command -v docker >/dev/null || exit 0; docker info --format '{{json .Swarm}}'"

    @staticmethod
    def default() -> Node:
        """There is no Docker."""
        return Node()

    def process(self, output: list[str]) -> Node:
        """Raises FactProcessError for what no Docker prints."""
        try:
            found = json.loads("".join(output) or "{}")
            return Node(
                found.get("LocalNodeState") or NONE,
                found.get("NodeID") or "",
                (found.get("Cluster") or {}).get("ID") or "",
                found.get("NodeAddr") or "",
                bool(found.get("ControlAvailable")),
                found.get("Error") or "",
                tuple(item["NodeID"] for item in found.get("RemoteManagers") or ()),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FactProcessError(f"cannot read what Docker says of its swarm: {error}") from None

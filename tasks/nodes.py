"""Nodes: the hosts of a cluster are in one swarm, each as what its groups say. One host is in none for our sake."""

from tasks.connection import grouped
from tasks.operations import nodes
from tasks.run import stack


def run() -> None:
    """The phase."""
    cluster = grouped.cluster()
    if cluster is None:
        return
    addresses = grouped.addresses(cluster)
    nodes.made(cluster, addresses, stack(), name="Nodes | the swarm is there")
    nodes.joined(cluster, addresses, name="Nodes | the host is one of its nodes")
    nodes.described(cluster, addresses, name="Nodes | each is what its groups say")

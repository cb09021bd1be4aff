"""Hosts become the nodes of one swarm, and nothing else: tests/e2e/test_nodes.py."""

import json
import os

from tasks.model.cluster import cluster
from tasks.operations import nodes, overlays
from tasks.run import stack

given = json.loads(os.environ["NODES"])
wanted = cluster(given["groups"])
nodes.made(wanted, given["addresses"], stack(), name="Cluster | the swarm is there")
nodes.joined(wanted, given["addresses"], name="Cluster | the host is one of its nodes")
nodes.described(wanted, given["addresses"], name="Cluster | each node is what its groups say")
if given.get("mtu"):
    overlays.overlays(
        ("smarter-net", "tenants-net"),
        wanted,
        stack(),
        encrypted=given["encrypted"],
        name="Cluster | networks",
    )

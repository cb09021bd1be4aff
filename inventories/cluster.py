"""Several hosts as one stack: the nodes of a Docker Swarm, each for what its groups say. Settings that differ from all.py stand in group_data/cluster.py."""

from tasks.connection.inventory import hosts

# Where the others reach a node is what its Docker keeps for ever: node_address names it where that is another than SSH's (a private network).
nodes = hosts(
    ("node-1", {"ssh_hostname": "node-1.smarterbot.cl", "ssh_user": "root"}),
    ("node-2", {"ssh_hostname": "node-2.smarterbot.cl", "ssh_user": "root"}),
    ("node-3", {"ssh_hostname": "node-3.smarterbot.cl", "ssh_user": "root"}),
)

# Who decides what runs where: one, or three. Each is root of all.
managers = ["node-1", "node-2", "node-3"]
# Who has a Caddy. Every domain's A records name all of these, or a load balancer in front of them does.
proxies = ["node-1", "node-2"]
# Who has Vault, Postgres and Redis: one.
data = ["node-1"]
# Who runs what keeps nothing.
apps = ["node-2", "node-3"]

"""Production: the hosts, and nothing else. Settings that differ from all.py stand in group_data/prod.py."""

# An example, which `make bootstrap` replaces as long as nobody has edited it: 1dc2f89f870117c2

from tasks.connection.inventory import hosts

# One VPS: a stack has one host, and several here need each its own zone in its data. An entry is a name or address, or (name, {"ssh_hostname": …}).
# A user with sudo instead of root, which must not ask for a password: {"ssh_user": "deploy", "_sudo": True}.
nodes = hosts(
    ("smarteros-1", {"ssh_hostname": "smarteros-1.smarterbot.cl", "ssh_user": "root"}),
)

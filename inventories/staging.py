"""Staging: the hosts, and nothing else. Settings that differ from all.py stand in group_data/staging.py."""

# An example, which `make bootstrap` replaces as long as nobody has edited it: e96f238e0e129a56

from tasks.connection.inventory import hosts

nodes = hosts(
    ("staging-1", {"ssh_hostname": "staging-1.smarterbot.cl", "ssh_user": "root"}),
)

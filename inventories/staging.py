"""Staging: the hosts, and nothing else. Settings that differ from all.py stand in group_data/staging.py."""

from tasks.connection.inventory import hosts

nodes = hosts(
    ("staging-1", {"ssh_hostname": "staging-1.smarterbot.cl", "ssh_user": "root"}),
)

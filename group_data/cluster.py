"""The cluster of inventories/cluster.py: what differs from all.py."""

acme_email = "ops@smarterbot.cl"

# A host key that changes is an error, not a question: add the hosts' keys to known_hosts first.
ssh_strict_host_key_checking = "yes"

"""Production: what differs from all.py."""

# An example, which `make bootstrap` replaces as long as nobody has edited it: 0503841504fc2636

acme_email = "ops@smarterbot.cl"

# A host key that changes is an error, not a question: add the host's key to known_hosts first.
ssh_strict_host_key_checking = "yes"

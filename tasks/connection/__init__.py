"""Connection: the way to a host, and what goes through pyinfra's one SSH connection beside its commands."""

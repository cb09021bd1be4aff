"""Firewall and SSH alone."""

from tasks import firewall, ssh

firewall.run()
ssh.run()

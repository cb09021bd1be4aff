"""Whose SSH keys let in, alone: without what a deploy refuses before it."""

from tasks import login_keys

login_keys.run()

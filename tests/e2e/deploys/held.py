"""Firewall and SSH, and the proof of each change never comes to an end."""

import time

from tasks import firewall, ssh
from tasks.operations import armed

armed.prove = lambda *_: time.sleep(600)
firewall.run()
ssh.run()

"""Whose SSH keys let in, with a proof that never comes."""

import gevent

from tasks import login_keys
from tasks.operations import armed

armed.prove = lambda *_: gevent.sleep(3600)
login_keys.run()

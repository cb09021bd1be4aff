"""Sessions: how many commands at once one SSH connection is asked to run, and patience where sshd takes fewer.

sshd counts a command until it has cleared it away (MaxSessions, ten by default; some hosts have two), and refuses
the next one. That is no failure of the host: the command waits for its turn.
"""

import logging
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from gevent.lock import BoundedSemaphore
from paramiko import ChannelException, SSHException
from pyinfra.api.host import Host

# The lock's session and a command under way come on top.
_MOST = 6
# Seconds: as long as the longest command beside it may take, in steps that grow.
_PATIENCE, _FIRST_PAUSE, _LONGEST_PAUSE = 900, 0.02, 1.0
_NO_MORE_SESSIONS = 2  # SSH_OPEN_CONNECT_FAILED, what sshd says then

_places: WeakKeyDictionary[Host, BoundedSemaphore] = WeakKeyDictionary()


def place(target: Host) -> BoundedSemaphore:
    """To be held by whoever reads from the host beside others."""
    patient(target)
    return _places.setdefault(target, BoundedSemaphore(_MOST))


def patient(target: Host) -> None:
    """From now on a session on the host's connection waits until sshd takes it."""
    client = getattr(target.connector, "client", None)
    transport: Any = client.get_transport() if client else None
    if transport is None or "open_session" in vars(transport):  # it waits already
        return
    transport.open_session = _waiting(transport.open_session)
    logging.getLogger("paramiko.transport").addFilter(_worth_telling)


def _waiting(open_session: Any) -> Any:
    def opened(*args: Any, **kwargs: Any) -> Any:
        pause, waited = _FIRST_PAUSE, 0.0
        while True:
            try:
                return open_session(*args, **kwargs)
            except SSHException as error:
                if not _full(error) or waited > _PATIENCE:
                    raise
            gevent.sleep(pause)
            waited += pause
            pause = min(2 * pause, _LONGEST_PAUSE)

    return opened


def _full(error: SSHException) -> bool:
    """Of several that are refused at once, paramiko gives the reason to one and to the others only this text."""
    if isinstance(error, ChannelException):
        return error.code == _NO_MORE_SESSIONS
    return str(error) == "Unable to open channel."


def _worth_telling(record: logging.LogRecord) -> bool:
    """Not what is tried again."""
    return "open FAILED" not in record.getMessage()

"""Second: a login through an sshd that is started for it alone, at the other end of a command's channel, and so goes by what its
files say now. Nothing listens anywhere, and the daemon that serves everybody is left alone.
"""

import re
from typing import Any

import gevent
from paramiko import SSHException
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host

from tasks.connection import line, wire

# What it says of a login goes to its errors, however little its files have it say. A shell may have greeted before, on both streams and
# without an end: SSH passes over lines, so that is made one.
_MARK = "smarteros-second"
_SSHD = f"echo; echo {_MARK} >&2; exec /usr/sbin/sshd -i -e -o LogLevel=INFO"
_KEYS = "it takes none of this run's keys"
_WHY = re.compile(
    r"not allowed|refused|rror|denied|rejected|failed|locked|no such|atal|bad |nvalid|exceeded|cannot|nable to|ould not",
    re.IGNORECASE,
)


def why_not(target: Host) -> str:
    """Why the run's own login does not come in there; empty when it runs a command."""
    connector: Any = target.connector
    channel = connector.client.get_transport().open_session(timeout=10)
    channel.exec_command(wire.wired(line.composed(target, _SSHD)))
    fresh: Any = type(connector)(connector.state, connector.host)
    given = fresh.data["ssh_paramiko_connect_kwargs"] or {}
    fresh.data = {
        **fresh.data,
        "ssh_connect_retries": 0,
        "ssh_paramiko_connect_kwargs": {**given, "sock": channel},
    }
    try:
        fresh.connect()
        worked, _ = fresh.run_shell_command(StringCommand("true"))
    except (ConnectError, SSHException, OSError, EOFError) as error:
        return _said(channel) or (_KEYS if "it accepts none" in str(error) else str(error))
    else:
        return "" if worked else "it runs no command"
    finally:
        if fresh.client:
            fresh.client.close()
        channel.close()


def _said(channel: Any) -> str:
    """Its own words."""
    gevent.sleep(0.2)
    text = b""
    while channel.recv_stderr_ready():
        text += channel.recv_stderr(65536)
    own = text.decode(errors="replace").rpartition(f"{_MARK}\n")[2]
    lines = [found.strip() for found in own.splitlines()]
    return next((found for found in lines if _WHY.search(found)), "").replace(" from UNKNOWN", "")

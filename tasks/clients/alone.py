"""Alone: one check at a time on a host. What bears a check's name there is then left over, and no other's at work."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from paramiko import SSHException

from tasks.connection import sessions
from tasks.connection.line import Line
from tasks.run import Refused, host

# Seconds: another one takes two minutes at most, and sshd needs three to notice that somebody's network is gone.
_PATIENCE = 300

# On the host for as long as the SSH session, whose end is that of its standard input.
_HOLD = f"""
say() {{ printf '\\n%s-check %s\\n' smarteros "$*"; }}
umask 077
mkdir -p /run/smarteros
exec 9>>/run/smarteros/check
flock -n 9 || {{ say waits; flock -w {_PATIENCE} 9 || {{ say busy "$(cat /run/smarteros/check)"; exit; }}; }}
echo $$ >/run/smarteros/check
say held
exec cat >/dev/null
"""


@contextmanager
def alone() -> Iterator[None]:
    """Waits for another check to end. Raises Refused."""
    sessions.patient(host())
    try:
        line = Line(host(), f"exec bash --norc -c {shlex.quote(_HOLD)}")
    except (EOFError, OSError, SSHException) as error:
        raise Refused(f"{host().name} cannot be asked: {str(error) or 'the connection has ended'}") from None
    try:
        _held(line)
        yield
    finally:
        line.close()


def _held(line: Line) -> None:
    printed = []
    while (text := line.receive()) is not None:
        if not (found := re.search(r"smarteros-check (\w+) ?(\d*)\r?$", text)):
            printed.append(text)
        elif found[1] == "held":
            return
        elif found[1] == "waits":
            host().log("waits for another check of this host to end")
        else:
            todo = f"if it is gone for good, `kill {found[2]}` there"
            raise Refused(f"another check of {host().name} does not end; {todo}")
    why = " ".join(" ".join(printed).split())[-200:] or "the connection has ended"
    raise Refused(f"{host().name} lets no check begin: {why}")

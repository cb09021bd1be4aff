"""Line: a command on the host that lives as long as the connection, written to and read line by line.

Over SSH it is one more channel of pyinfra's own connection, for ``@local`` a process of this machine. Both
see the end of their standard input when this program ends, however it ends.
"""

import os
import subprocess
from contextlib import suppress
from typing import Any

import gevent
from gevent import socket
from gevent.queue import Queue
from pyinfra import logger
from pyinfra.api import StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.host import Host
from pyinfra.api.output import echo
from pyinfra.connectors.util import extract_control_arguments, make_unix_command_for_host

from tasks.connection import wire
from tasks.rendering.docker_calls import environment


class Line:
    """The command at work. Raises OSError or SSHException when the connection gives no channel."""

    def __init__(self, target: Host, command: str) -> None:
        words = composed(target, command)
        client = getattr(target.connector, "client", None)
        self._end = _remote(client.get_transport(), words) if client else local(words)
        self._lines: Queue[str | None] = Queue()
        self._reader = gevent.spawn(self._read)

    def _read(self) -> None:
        with suppress(OSError):
            for text in wire.text(self._end.makefile("rb")):
                self._lines.put(text)
        self._lines.put(None)

    @property
    def ended(self) -> bool:
        """Whether the command, or the connection, is gone."""
        return bool(self._reader.ready())

    def receive(self) -> str | None:
        """The next line of its output, errors too; None when there are no more."""
        found: str | None = self._lines.get()
        return found

    def rest(self) -> list[str]:
        """The lines that have come and that nobody has received."""
        found = [self._lines.get_nowait() for _ in range(self._lines.qsize())]
        return [text for text in found if text is not None]

    def send(self, text: str) -> None:
        """One line for it; nothing once it has ended."""
        with suppress(OSError):
            self._end.sendall(f"{text}\n".encode())

    def close(self, seconds: float = 5) -> None:
        """Ends its standard input and waits until it has ended, too."""
        with suppress(OSError, EOFError):
            self._end.shutdown(socket.SHUT_WR)
        self._reader.join(seconds)


def composed(target: Host, command: str) -> str:
    """The command as pyinfra would run it there: with sudo, where the inventory says so."""
    own = arguments(target)
    own["_env"] = environment(own.get("_env"))  # the login's own would lead it to another Docker
    words = make_unix_command_for_host(target.state, target, StringCommand(command), **own)
    if target.state.print_input:
        echo(f"{target.print_prefix}>>> {words}", err=True)
    logger.debug("Running on %s: %s", target.name, words)
    return words.get_raw_value()


def arguments(target: Host) -> Any:
    """What the inventory says of every command on the host, ``_sudo`` and the like."""
    found = pop_global_arguments(target.state, target, {})[0]
    of_commands: Any = {key: value for key, value in found.items() if key in CONNECTOR_ARGUMENT_KEYS}
    extract_control_arguments(of_commands)
    return of_commands


def _remote(transport: Any, words: str) -> Any:
    channel = transport.open_session(timeout=10)
    channel.set_combine_stderr(True)
    channel.exec_command(wire.wired(words))
    return channel


def local(words: str) -> socket.socket:
    """A process of this machine, in a session of its own: Ctrl-C at the terminal is for this program, not for that one."""
    ours, theirs = socket.socketpair()
    end = theirs.fileno()
    os.set_blocking(end, True)  # gevent's sockets are not
    with theirs:
        subprocess.Popen(["sh", "-c", words], stdin=end, stdout=end, stderr=end, start_new_session=True)
    return ours

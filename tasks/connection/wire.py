"""Wire: a command of ours as it leaves for a host, so that any login shell runs it, and what comes back as text.

sshd hands a command to the user's login shell, which need be no POSIX shell: quotes and ends of lines mean
other things to fish and csh. So it travels without any, and sh puts it together.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import paramiko.client
from pyinfra.connectors.sshuserclient.client import SSHClient

_PLAIN = re.compile(rb"[^A-Za-z0-9 _/.,:;=+@|&<>(){}\[\]*?~#%^-]")


def wired(words: str) -> str:
    """The command as one word in single quotes, in which no shell finds anything to change."""
    packed = _PLAIN.sub(lambda found: rb"\0%03o" % found[0][0], words.encode(errors="surrogateescape"))
    return f"""sh -c 'eval "$(printf %b "{packed.decode()}")"'"""


def text(stream: Any) -> Iterator[str]:
    """The lines of a stream of bytes, whatever bytes: one that is no UTF-8 ends no answer."""
    for found in stream:
        yield found.decode(errors="replace").rstrip("\n")


class _Lines:
    """One stream of a command as pyinfra reads it."""

    def __init__(self, channel: Any, stream: Any) -> None:
        self.channel, self._stream = channel, stream

    def __iter__(self) -> Iterator[str]:
        return text(self._stream)


def _exec_command(
    client: SSHClient, command: str, *, get_pty: bool = False, **_: Any
) -> tuple[Any, _Lines, _Lines]:
    """In the place of paramiko's, which pyinfra runs every command through."""
    transport: Any = client.get_transport()
    channel = transport.open_session()
    if get_pty:
        channel.get_pty()
    channel.exec_command(wired(command))
    out, errors = channel.makefile("rb"), channel.makefile_stderr("rb")
    return channel.makefile_stdin("wb"), _Lines(channel, out), _Lines(channel, errors)


class _Prompt(paramiko.Transport):
    """A connection that sends at once. Else what is small waits until the host has confirmed what went before, which it
    takes 40 ms for while it has nothing to say itself: that is each question to Vault, and each end of a session.
    """

    def __init__(self, sock: Any, **options: Any) -> None:
        if isinstance(sock, socket.socket):  # the way through a jump host is none
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock, **options)


def lay() -> None:
    """From now on pyinfra's connections work so."""
    SSHClient.exec_command = _exec_command  # type: ignore[method-assign,assignment]
    paramiko.client.Transport = _Prompt  # type: ignore[attr-defined,assignment]

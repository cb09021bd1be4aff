"""Sockets to a host's loopback, and to its containers, through the SSH connection that pyinfra already holds.

Nothing listens on this machine and nothing extra on the host: each connection is a direct-tcpip
channel (RFC 4254, 7.2). For ``@local`` it is an ordinary connection.
"""

import socket
from contextlib import suppress
from typing import Any

import gevent
from pyinfra.api.host import Host

from tasks.connection import line, wire

_CHUNK = 65536

# Seconds without a byte; requests and urllib3 set their own on top.
_SILENCE = 30


def connect(host: Host, port: int, timeout: float = 10, address: str = "127.0.0.1") -> socket.socket:
    """A connected socket to address:port as seen on the host. Raises OSError when nothing listens there."""
    client = getattr(host.connector, "client", None)
    if client is None:
        return socket.create_connection((address, port), timeout)
    transport = client.get_transport()
    try:
        channel = transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=timeout)
    except Exception as error:  # paramiko raises ChannelException, SSHException, EOFError
        raise ConnectionError(f"{host.name}: nothing answers on {address}:{port} ({error})") from error
    return _pumped(channel)


def spoken(host: Host, command: str) -> socket.socket:
    """A socket whose other end is a command's standard input and output on the host. Raises OSError when there is no connection."""
    words = line.composed(host, command)
    client = getattr(host.connector, "client", None)
    if client is None:
        ours: socket.socket = line.local(words)
        return ours
    try:
        channel = client.get_transport().open_session(timeout=10)
        channel.exec_command(wire.wired(words))
    except Exception as error:  # as above
        raise ConnectionError(f"{host.name}: it starts nothing more ({error})") from error
    return _pumped(channel)


def _pumped(channel: Any) -> socket.socket:
    ours, theirs = socket.socketpair()
    ours.settimeout(_SILENCE)
    gevent.spawn(_pump, theirs.recv, channel.sendall, channel.shutdown_write)
    gevent.spawn(_pump, channel.recv, theirs.sendall, theirs.close)
    return ours


def outside(host: Host) -> str:
    """The address at which this machine reaches the host by itself, "" where it is reached through another one."""
    client = getattr(host.connector, "client", None)
    if client is None:
        return "127.0.0.1"
    found = client.get_transport().sock
    return str(found.getpeername()[0]) if isinstance(found, socket.socket) else ""


def _pump(receive: Any, send: Any, end: Any) -> None:
    """Copies one direction until it ends; TLS needs a real socket, which a channel is not."""
    with suppress(OSError):  # the other direction has closed: the end of a connection, no fault
        while data := receive(_CHUNK):
            send(data)
    with suppress(OSError, EOFError):
        end()

"""Connecting: why a host cannot be reached, in one line each: what, where, what to do. Pure, but for ``lay``.

pyinfra prints some of it in its own words, in several lines, and lets the rest end in tracebacks.
"""

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from paramiko import (
    AuthenticationException,
    BadHostKeyException,
    ChannelException,
    PasswordRequiredException,
    ProxyCommandFailure,
    SSHException,
)
from pyinfra import logger
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.connectors.ssh import SSHConnector

T = TypeVar("T")

_CLOSES = (
    "what listens there closes the connection, or is no SSH server: see ssh_port; a firewall, fail2ban or sshd's MaxStartups "
    "may turn this machine away for some minutes"
)
_BY_TEXT = (
    (
        "found in known_hosts",
        (
            "its host key is not in known_hosts: compare it with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub "
            "on its console), and log in once with ssh to note it"
        ),
    ),
    ("protocol banner", _CLOSES),
    ("ncompatible", "it has no algorithm in common with this machine's SSH library ({said})"),
    ("o acceptable", "it has no algorithm in common with this machine's SSH library ({said})"),
    (
        "o authentication methods available",
        (
            "this machine has no key to offer for the user {user}: name one (ssh_key), or ssh-add it to an agent that runs here "
            "(ssh-add -l lists them)"
        ),
    ),
    ("gent", "the SSH agent does not sign ({said}): see ssh-add -l, or name a key file (ssh_key)"),
    (
        "existing session",
        "it ended the login: an agent with many keys passes its MaxAuthTries: name the right one (ssh_key)",
    ),
)


_ENCRYPTED = (
    "the private key is encrypted, and nobody typed its passphrase: ssh-add it, or set ssh_key_password"
)
# The first that it is.
_BY_TYPE: tuple[tuple[type[Exception], str], ...] = (
    (
        BadHostKeyException,
        (
            "its host key is another one than known_hosts has: somebody may stand in between; only if the host was set up anew: "
            "ssh-keygen -R {name}"
        ),
    ),
    (PasswordRequiredException, _ENCRYPTED),
    (
        AuthenticationException,
        (
            "it accepts none of the keys that this machine offers for the user {user} ({said}): see ssh_user and ssh_key, and "
            "~/.ssh/authorized_keys there"
        ),
    ),
    (ProxyCommandFailure, "the ProxyCommand of ssh_config fails ({said}): run it by hand"),
    (
        ChannelException,
        "the jump host does not lead there ({said}): see ProxyJump in ssh_config, and AllowTcpForwarding there",
    ),
    (EOFError, _CLOSES),
    (PyinfraError, "{said}"),
)


def why(error: Exception, user: str, *, connected: bool) -> str:
    """What the error of a connection means. connected: it had come as far as the network."""
    said = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, EOFError) and not connected:
        return _ENCRYPTED
    for kind, text in _BY_TYPE:
        if isinstance(error, kind):
            return text.format(said=said, user=user, name=getattr(error, "hostname", ""))
    if isinstance(error, OSError):
        return _network(error, said)
    text = next((text for part, text in _BY_TEXT if part in said), "SSH fails ({said})")
    return text.format(
        said=said if isinstance(error, SSHException) else f"{type(error).__name__}: {said}", user=user
    )


def _network(error: OSError, said: str) -> str:
    if isinstance(error, socket.gaierror):
        return "the name does not resolve: see ssh_hostname, and this machine's DNS"
    if isinstance(error, TimeoutError) or "timed out" in said:
        return "nothing answers in time: the address or port is wrong, the host is down, or a firewall drops what it gets"
    if isinstance(error, ConnectionResetError):
        return _CLOSES
    if error.filename:
        return f"{error.filename}: {error.strerror}"
    if _refused(said):
        return "nothing listens there: see ssh_hostname and ssh_port, and whether sshd runs"
    return f"the connection fails ({said}): run again"


def _refused(said: str) -> bool:
    return "refused" in said or "Unable to connect" in said


# An sshd that restarts (a deploy that was cut short has told it to) listens again by then. Seconds.
_MOMENTS = (0.5, 1, 1.5)


def once_it_listens(connect: Callable[[], T]) -> T:
    """What it gives, tried anew while nothing listens there. Raises what it raises."""
    for seconds in _MOMENTS:
        try:
            return connect()
        except (ConnectError, OSError) as error:
            if not _refused(str(error.__context__ if isinstance(error, ConnectError) else error)):
                raise
        time.sleep(seconds)
    return connect()


# Something is sent every 15 seconds, and a network that is gone noticed by its staying unanswered: late enough for
# a host that shuts us out by mistake to have gone back to what it was.
_KEEPALIVE = 15
_UNANSWERED_MS = 150_000


def watched(transport: Any) -> None:
    """From now on a connection whose network is gone ends, also where nothing but an answer is waited for."""
    transport.set_keepalive(_KEEPALIVE)
    with suppress(AttributeError, OSError):  # another system, or a connection through a jump host
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED_MS)


def _connect(connector: SSHConnector) -> None:
    """In the place of pyinfra's, around it. Raises ConnectError, which pyinfra prints as one line, and nothing else."""
    try:
        once_it_listens(lambda: _pyinfras(connector))
        if connector.client:
            watched(connector.client.get_transport())
    except Exception as error:  # noqa: BLE001  what pyinfra does not foresee would be a traceback
        inner = error.__context__ if isinstance(error, ConnectError) else None
        cause = inner if isinstance(inner, Exception) else error
        config: Any = getattr(connector.client, "_ssh_config", None) or {}
        user = connector.data["ssh_user"] or config.get("username") or "of this machine"
        port = connector.data["ssh_port"] or config.get("port") or 22
        address = connector.data["ssh_hostname"] or connector.host.name
        where = f"port {port}" if address == connector.host.name else f"{address}, port {port}"
        said = why(cause, user, connected=connector.client is not None)
        raise ConnectError(f"{where}: {said}") from None


_pyinfras = SSHConnector.connect
# What pyinfra says beside the one line.
_DOUBLE = (
    "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
    "Someone could be eavesdropping",
    "If this is expected, you can remove the bad key",
    "    ssh-keygen -R",
)


def _once(record: logging.LogRecord) -> bool:
    strict = record.msg == "No host key for %s found in known_hosts" and record.levelno == logging.ERROR
    return not strict and not str(record.msg).startswith(_DOUBLE)


def lay() -> None:
    """From now on connections fail so; paramiko's own log, which is tracebacks, is nobody's."""
    if SSHConnector.connect is not _connect:
        SSHConnector.connect = _connect  # type: ignore[method-assign,assignment]
        logger.addFilter(_once)
        logging.getLogger("paramiko").addHandler(logging.NullHandler())

"""HTTP through the connection to a host, for clients that are built on requests."""

import socket
from collections.abc import Callable
from typing import Any

from pyinfra.api.host import Host
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.poolmanager import PoolManager

from tasks.connection import tunnel


class Adapter(HTTPAdapter):
    """A requests adapter whose every connection, whatever its URL's name, ends at one port: the host's, or a container's."""

    def __init__(self, host: Host, port: int, address: str = "127.0.0.1") -> None:
        self._host, self._port, self._address = host, port, address
        super().__init__()

    def connect(self) -> socket.socket:
        """One more connection."""
        return tunnel.connect(self._host, self._port, address=self._address)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Requests' hook for its connection pools (requests.adapters.HTTPAdapter)."""
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _pool(self.connect)}


def _pool(connect: Callable[[], socket.socket]) -> type[HTTPConnectionPool]:
    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connect()

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    return Pool


class Spoken(Adapter):
    """The same, with a command of the host at the other end, which speaks HTTP on its standard input and output."""

    def __init__(self, host: Host, command: str) -> None:
        self._command = command
        super().__init__(host, 0)

    def connect(self) -> socket.socket:
        """The command, once more."""
        return tunnel.spoken(self._host, self._command)

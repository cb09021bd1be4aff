"""HTTP through the tunnel, for clients that are built on requests."""

import socket
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
        self._target = (host, port, address)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Requests' hook for its connection pools (requests.adapters.HTTPAdapter)."""
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _pool(*self._target)}


def _pool(host: Host, port: int, address: str) -> type[HTTPConnectionPool]:
    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return tunnel.connect(host, port, address=address)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    return Pool

"""A WebSocket of a visitor's, on a connection that is made already: JSON both ways."""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import websocket

from tasks.model.visitor import Failed

_PATIENCE = 60


def opened(
    connected: ssl.SSLSocket, domain: str, path: str, cookies: str, headers: Mapping[str, str]
) -> Iterator["Channel"]:
    """The WebSocket, as a page of the domain opens it; closed at the end. Raises Failed."""
    where = f"WebSocket {path.partition('?')[0]}"
    try:
        socket = websocket.create_connection(
            f"wss://{domain}{path}",
            timeout=_PATIENCE,
            socket=connected,
            origin=f"https://{domain}",
            cookie=cookies or None,
            header=dict(headers),
        )
    except (OSError, websocket.WebSocketException) as error:
        raise Failed(f"{where}: {first(error)}") from None
    try:
        yield Channel(socket, where)
    finally:
        socket.close()


class Channel:
    """A WebSocket that is open."""

    def __init__(self, socket: Any, where: str) -> None:
        self._socket, self._where = socket, where

    def send(self, message: Any) -> None:
        """One message."""
        try:
            self._socket.send(json.dumps(message))
        except (OSError, websocket.WebSocketException) as error:
            raise Failed(f"{self._where}: {first(error)}") from None

    def until(self, wanted: Callable[[Any], bool], what: str, seconds: float = 20) -> Any:
        """The first message that is wanted. Raises Failed."""
        deadline = time.monotonic() + seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                message = json.loads(self._socket.recv())
                if wanted(message):
                    return message
        except websocket.WebSocketTimeoutException:
            pass
        except (OSError, ValueError, websocket.WebSocketException) as error:
            raise Failed(f"{self._where}: {first(error)}") from None
        raise Failed(f"{self._where}: {what} did not arrive within {seconds:.0f} s")


def first(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error) or type(error).__name__).splitlines()[0][:200]

"""WebSockets as a browser opens them: the upgrade through Caddy, then frames both ways (RFC 6455)."""

import base64
import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpcore
import httpx

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, ASKED, PONG = 1, 9, 10
PING = b"\x89\x84\0\0\0\0ping"  # masked, as all that a client sends
Frames = Iterator[tuple[int, bytes]]


@contextmanager
def connected(
    session: httpx.Client, url: str, **headers: str
) -> Iterator[tuple[Callable[[bytes], None], Frames]]:
    """What sends bytes, and the frames that arrive, each with its kind, once the server has proven what it speaks."""
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Origin": str(httpx.URL(url).join("/")).rstrip("/"),
    }
    with session.stream("GET", url, headers={**upgrade, **headers}) as answer:
        assert answer.status_code == 101, answer.read()
        assert answer.headers["sec-websocket-accept"] == accept(key)
        stream: httpcore.NetworkStream = answer.extensions["network_stream"]
        yield lambda data: stream.write(data, timeout=10), _frames(stream)


def accept(key: str) -> str:
    """The server's proof that it speaks WebSocket (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(f"{key}{GUID}".encode()).digest()).decode()


def pong(send: Callable[[bytes], None], frames: Frames) -> bytes:
    """What comes back for a ping, behind whatever else the server has to say. Its own pings are answered, as browsers do."""
    send(PING)
    for kind, payload in frames:
        if kind == PONG:
            return payload
        if kind == ASKED:
            send(b"\x8a" + bytes([0x80 | len(payload)]) + bytes(4) + payload)
    raise AssertionError("the server has ended it")


def _frames(stream: httpcore.NetworkStream) -> Frames:
    buffer = b""

    def take(size: int) -> bytes:
        nonlocal buffer
        while len(buffer) < size:
            more = stream.read(65536, timeout=10)
            assert more, "the server has closed the connection"
            buffer += more
        taken, buffer = buffer[:size], buffer[size:]
        return taken

    while True:
        kind, length = take(2)
        if length == 126:
            (length,) = struct.unpack("!H", take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", take(8))
        yield kind & 15, take(length)

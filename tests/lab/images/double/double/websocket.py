"""WebSockets (RFC 6455), as much of them as the doubles need: text both ways, ping and close."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


@dataclass(frozen=True)
class WebSocket:
    """An accepted connection."""

    incoming: BufferedIOBase
    outgoing: BufferedIOBase

    def send(self, text: str, kind: int = TEXT) -> None:
        """One unfragmented message."""
        self._frame(kind, text.encode())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """The closing frame; the connection ends when the caller returns."""
        self._frame(CLOSE, struct.pack("!H", code) + reason.encode())

    def messages(self) -> Iterator[str]:
        """Text messages until the other side closes."""
        while head := self.incoming.read(2):
            kind, payload = head[0] & 15, self._payload(head[1])
            if kind == CLOSE:
                self._frame(CLOSE, payload[:2])
                return
            if kind == PING:
                self._frame(PONG, payload)
            if kind == TEXT:
                yield payload.decode(errors="replace")

    def _payload(self, second: int) -> bytes:
        length = second & 127
        if length == 126:
            (length,) = struct.unpack("!H", self.incoming.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.incoming.read(8))
        mask = self.incoming.read(4) if second & 128 else bytes(4)
        return bytes(byte ^ mask[index % 4] for index, byte in enumerate(self.incoming.read(length)))

    def _frame(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes([size]) if size < 126 else bytes([126]) + struct.pack("!H", size)
        self.outgoing.write(bytes([128 | kind]) + length + payload)
        self.outgoing.flush()


def accept(handler: BaseHTTPRequestHandler, headers: Mapping[str, str]) -> WebSocket | None:
    """Answer the upgrade, taking the first subprotocol offered; a request without a key is answered with 400."""
    key = headers.get("sec-websocket-key", "")
    if not key or headers.get("sec-websocket-version") != "13":
        handler.send_error(400, "not a WebSocket handshake")
        return None
    handler.send_response(101)
    handler.send_header("Upgrade", "websocket")
    handler.send_header("Connection", "Upgrade")
    digest = hashlib.sha1((key + GUID).encode()).digest()
    handler.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
    if protocol := headers.get("sec-websocket-protocol", "").split(",")[0].strip():
        handler.send_header("Sec-WebSocket-Protocol", protocol)
    handler.end_headers()
    return WebSocket(handler.rfile, handler.wfile)

"""HTTP/3: one GET over QUIC, from this machine straight to the host, since a tunnel carries no UDP.

aioquic, driven by hand: pyinfra's hosts are greenlets, beside which no event loop of asyncio runs.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress

from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted

# Seconds to connect; and for an answer then, in which the proxy may wait 30 for a guard that is down.
_PATIENCE, _ANSWER = 10, 45


class Ended(OSError):
    """The server is there, and one of both sides has ended the connection."""


def get(address: str, domain: str, path: str, root: bytes = b"", port: int = 443) -> int:
    """The status. root: certificates (PEM) that are trusted beside the system's. Raises OSError, in words."""
    paths = ssl.get_default_verify_paths()
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=domain)
    configuration.load_verify_locations(paths.cafile, paths.capath, root or None)
    quic = QuicConnection(configuration=configuration)
    http = H3Connection(quic)
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect((address, port))
        quic.connect((address, port), now=time.monotonic())
        headers = {":method": "GET", ":scheme": "https", ":authority": domain, ":path": path}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        http.send_headers(quic.get_next_available_stream_id(), encoded, end_stream=True)
        try:
            return _status(_events(quic, http, udp, (address, port)))
        finally:
            quic.close()
            with suppress(OSError):
                _send(quic, udp)


def _status(events: Iterator[H3Event]) -> int:
    """The answer's, once all of it is there."""
    status = 0
    for event in events:
        if isinstance(event, HeadersReceived):
            status = int(dict(event.headers)[b":status"])
        if isinstance(event, HeadersReceived | DataReceived) and event.stream_ended:
            break
    return status


def _events(
    quic: QuicConnection, http: H3Connection, udp: socket.socket, peer: tuple[str, int]
) -> Iterator[H3Event]:
    """What the server says, as it comes."""
    deadline, connected = time.monotonic() + _PATIENCE, False
    while (now := time.monotonic()) < deadline:
        _send(quic, udp)
        timer = quic.get_timer() or deadline
        udp.settimeout(max(0.001, min(timer, deadline) - now))
        try:
            quic.receive_datagram(udp.recv(65536), peer, time.monotonic())
        except TimeoutError:
            if time.monotonic() >= timer:
                quic.handle_timer(time.monotonic())
        while event := quic.next_event():
            if isinstance(event, ConnectionTerminated):
                raise Ended(event.reason_phrase or f"QUIC error {event.error_code}")
            if isinstance(event, HandshakeCompleted):
                deadline, connected = time.monotonic() + _ANSWER, True
            yield from http.handle_event(event)
    if connected:
        raise Ended(f"connected, and no answer within {_ANSWER} s: the service behind is slow or down")
    raise TimeoutError(f"no answer within {_PATIENCE} s")


def _send(quic: QuicConnection, udp: socket.socket) -> None:
    for data, _ in quic.datagrams_to_send(time.monotonic()):
        udp.send(data)

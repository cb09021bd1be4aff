"""HTTP/1.1 and HTTP/2 over sockets of ours, for httpx: its documented seams are a transport, and httpcore's network below."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import socket
from typing import Any

import httpcore
import httpx

# A port of the host → a socket that is connected to it.
Connect = Callable[[int], socket]


class Transport(httpx.BaseTransport):
    """Every name leads to the one host; SNI, the certificate's check and the header Host keep the name."""

    def __init__(self, connect: Connect, context: ssl.SSLContext, *, http2: bool = False) -> None:
        # With http2 the other side may still choose HTTP/1.1, and is seen to.
        self._pool = httpcore.ConnectionPool(context, http2=http2, network_backend=_Network(connect))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """For httpx: one request, its answer read to the end. Raises httpcore's errors."""
        url = request.url
        answer = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        try:
            body = answer.read()
        finally:
            answer.close()  # else the pool takes its connection to be in use
        return httpx.Response(
            answer.status, headers=answer.headers, content=body, extensions=answer.extensions
        )

    def close(self) -> None:
        """For httpx: the end."""
        self._pool.close()


class _Network(httpcore.NetworkBackend):
    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002  every name leads to one place
        port: int,
        *_: Any,
        **__: Any,
    ) -> httpcore.NetworkStream:
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            return _Stream(self._connect(port))


class _Stream(httpcore.NetworkStream):
    def __init__(self, connected: socket) -> None:
        self._socket = connected

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _mapped(httpcore.ReadTimeout, httpcore.ReadError):
            self._socket.settimeout(timeout)
            return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _mapped(httpcore.WriteTimeout, httpcore.WriteError):
            self._socket.settimeout(timeout)
            self._socket.sendall(buffer)

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            self._socket.settimeout(timeout)
            return _Stream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname))

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        return self._socket if info == "socket" else None


@contextmanager
def _mapped(late: type[Exception], failed: type[Exception]) -> Iterator[None]:
    """Errors of sockets in httpcore's words."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:
        raise failed(str(error)) from error

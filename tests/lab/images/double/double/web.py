"""The doubles' HTTP server: requests to functions, WebSockets to functions, errors to statuses."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from double.websocket import WebSocket, accept


@dataclass(frozen=True)
class Request:
    """One request; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    def fields(self) -> dict[str, Any]:
        """The body's fields, from JSON or a form; a form's user[name] becomes {"user": {"name": …}}."""
        if "json" in self.headers.get("content-type", ""):
            try:
                data = json.loads(self.body or b"{}")
            except ValueError:
                raise Failure(400, {"message": "the body is not JSON"}) from None
            return data if isinstance(data, dict) else {}
        return _nested(dict(parse_qsl(self.body.decode(), keep_blank_values=True)))

    def cookie(self, name: str) -> str:
        """A cookie's value, or nothing."""
        found = re.search(rf"(?:^|;\s*){re.escape(name)}=([^;]*)", self.headers.get("cookie", ""))
        return found.group(1) if found else ""


def _nested(form: Mapping[str, str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in form.items():
        if found := re.fullmatch(r"(\w+)\[(\w+)\]", name):
            result.setdefault(found.group(1), {})[found.group(2)] = value
        else:
            result[name] = value
    return result


@dataclass(frozen=True)
class Response:
    """A status, a body and headers."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Failure(Exception):
    """A request that is answered with an error and a JSON body."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.response = as_json(body, status)


def as_json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(
        status,
        json.dumps(body, default=str).encode(),
        {"Content-Type": "application/json", **(headers or {})},
    )


def page(title: str, status: int = 200) -> Response:
    """A page of HTML that shows no more than its title."""
    text = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Response(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"})


def redirect(location: str, status: int = 302) -> Response:
    """An answer that leads elsewhere."""
    return Response(status, b"", {"Location": location})


Handler = Callable[[Request], Response]
Socket = Callable[[WebSocket, Request], None]


@dataclass(frozen=True)
class Site:
    """Routes as `METHOD regular-expression` in the order they are tried, and the paths of WebSockets."""

    routes: Mapping[str, Handler]
    sockets: Mapping[str, Socket] = field(default_factory=dict)

    def answer(self, request: Request) -> Response:
        """What the first matching route answers."""
        for route, handler in self.routes.items():
            method, pattern = route.split(" ", 1)
            if method == request.method and re.fullmatch(pattern, request.path):
                return handler(request)
        raise Failure(404, {"message": "Not Found"})


# Connections that wait to be taken: Node's own 511 (Puma has 1024). With Python's own 5, those whom a proxy has held are turned away,
# a second each, which no program does that this stands for.
QUEUE = 511


def server(site: Site, port: int, host: str = "0.0.0.0", queue: int = QUEUE) -> ThreadingHTTPServer:
    """A server of the site, not started yet."""
    kind = type("Server", (ThreadingHTTPServer,), {"request_queue_size": queue})
    made: ThreadingHTTPServer = kind((host, port), type("Bound", (_Handler,), {"site": site}))
    made.daemon_threads = True
    return made


def serve(site: Site, port: int, host: str = "0.0.0.0", queue: int = QUEUE) -> None:
    """Serve until SIGTERM."""
    with server(site, port, host, queue) as listening:
        print(f"listening on {host}:{port}")
        try:
            listening.serve_forever(poll_interval=0.2)
        finally:
            print("stopped")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def _handle(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(
            self.command, url.path, dict(parse_qsl(url.query)), headers, self.rfile.read(length)
        )
        socket = self.site.sockets.get(request.path)
        if socket and headers.get("upgrade", "").lower() == "websocket":
            self.close_connection = True
            if websocket := accept(self, headers):
                socket(websocket, request)
            return
        self._reply(self._answer(request))

    def _answer(self, request: Request) -> Response:
        head = request.method == "HEAD"
        try:
            return self.site.answer(Request("GET", *_rest(request)) if head else request)
        except Failure as failure:
            return failure.response
        except Exception:  # noqa: BLE001  as a server does: the next request is another one's
            traceback.print_exc()
            return as_json({"message": "Internal Server Error"}, 500)

    def _reply(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle  # noqa: N815


def _rest(request: Request) -> tuple[str, Mapping[str, str], Mapping[str, str], bytes]:
    return request.path, request.query, request.headers, request.body

"""Registries and a Docker, as HTTP servers of this machine: what `files/ask_registries.py` asks."""

from __future__ import annotations

import base64
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tasks.facts.registries import PROGRAM, Registered, RegistriesFact

PAGE = 2


@dataclass
class Registry:
    """One with token logins, as Docker Hub has them. tags: repository → its tags. login: what private repositories ask for."""

    tags: Mapping[str, list[str]]
    login: str = ""
    address: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON."""
        url, given = urlsplit(handler.path), handler.headers.get("Authorization", "")
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.asked.append(f"{url.path} {given.split(' ')[0]}".strip())
        if url.path == "/token":
            known = given == f"Basic {base64.b64encode(self.login.encode()).decode()}"
            if self.login and not known:
                return 401, {}, {}
            return 200, {}, {"token": f"for {query['scope']} at {query['service']}"}
        repository = url.path.removeprefix("/v2/").removesuffix("/tags/list")
        if given != f"Bearer for repository:{repository}:pull at here":
            realm = f'Bearer realm="http://{self.address}/token",service="here",scope="whatever"'
            return 401, {"WWW-Authenticate": realm}, {"errors": []}
        if repository not in self.tags:
            return 404, {}, {"errors": []}
        found = self.tags[repository]
        start = found.index(query["last"]) + 1 if "last" in query else 0
        page = found[start : start + PAGE]
        more = start + PAGE < len(found)
        link = {"Link": f'</v2/{repository}/tags/list?last={page[-1]}&n={PAGE}>; rel="next"'} if more else {}
        return 200, link, {"name": repository, "tags": page}


@dataclass
class Daemon:
    """Docker's API, as far as it is asked. digests: image → digest; what is not there, no registry has."""

    digests: Mapping[str, str]
    info: Mapping[str, Any] = field(default_factory=dict)
    logins: dict[str, Any] = field(default_factory=dict)

    def answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON."""
        if handler.path == "/info":
            return 200, {}, self.info
        image = unquote(handler.path.removeprefix("/distribution/").removesuffix("/json"))
        if given := handler.headers.get("X-Registry-Auth"):
            self.logins[image] = json.loads(base64.urlsafe_b64decode(given))
        if image not in self.digests:
            return 403, {}, {"message": f"pull access denied for {image}"}
        return 200, {}, {"Descriptor": {"digest": self.digests[image]}, "Platforms": [{}, {}]}


@contextmanager
def serving(what: Registry | Daemon, socket: Path | None = None) -> Iterator[str]:
    """The address of a server that answers so: on the socket, or on a port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, found = what.answer(self)
            text = json.dumps(found).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def address_string(self) -> str:
            return ""  # a Unix socket's client has none

        def log_message(self, *_: Any) -> None:
            pass

    class Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    server: Any = Unix(str(socket), Handler) if socket else ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield str(socket) if socket else f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(socket: str, images: list[str], home: Path, *, tags: bool = True) -> dict[str, Registered]:
    """What the program says, as the fact reads it."""
    wanted = json.dumps({"images": images, "socket": socket, "tags": tags})
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM.read_text(), wanted],
        env={"HOME": str(home), "PATH": f"{home}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return dict(RegistriesFact().process(done.stdout.splitlines()))

"""A real Caddy with the rendered Caddyfile, byte for byte but for where its wires end, and one service for all routes behind it."""

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tasks.rendering import render
from tasks.services import load
from tests.openbao import free_port
from tests.samples import stack
from tests.validator_caddy import running_caddy

N8N = "n8n.smarterbot.cl"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    seen: list[tuple[str, dict[str, str]]]


class _Service(BaseHTTPRequestHandler):
    """Every service: says what reached it."""

    server: _Server

    def _answer(self, status: int = 200, **headers: str) -> None:
        sent = {name.lower(): value for name, value in self.headers.items()}
        target = self.requestline.split(" ")[1]
        self.server.seen.append((target, sent))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        """Reads it and is gone, where it is told to."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["X-Gone"]:
            self.server.seen.append(("gone", {}))
            return
        self._answer()

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


class _Validator(_Service):
    """The validator's contract: test_validator.py holds the real one to it."""

    def do_GET(self) -> None:
        bearer = self.headers.get("Authorization") == "Bearer live"
        if not bearer and self.headers.get("X-Vault-Token") != "live":
            return self._answer(401)
        spent = {"X_Vault_Spent": "Authorization"} if bearer else {}
        return self._answer(200, X_Vault_Display_Name="alice", X_Vault_Policies="ops", **spent)


@dataclass
class Proxy:
    """A running Caddy: where its domains answer, where each loopback port of the catalogue does, its folder for files that it looks
    for, what got through to the service, and those that stand in for it and for the validator.
    """

    port: int
    loopback: dict[int, int]
    folder: Path
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    firsts: list[_Server] = field(default_factory=list)
    seconds: list[_Server] = field(default_factory=list)

    def goes(self, number: int = 0) -> None:
        """The service, or the validator, is no longer there."""
        self.firsts[number].shutdown()
        self.firsts[number].server_close()

    def comes(self) -> None:
        """The service is there again, at its address."""
        self.firsts[0] = _Server(("127.0.0.1", self.firsts[0].server_port), _Service)
        self.firsts[0].seen = self.seen
        Thread(target=self.firsts[0].serve_forever, daemon=True).start()

    def ask(self, target: str, host: str = N8N, /, **how: Any) -> int:
        """The status of a GET whose target is sent as it is written. port, source: of the connection; post: sent instead; else headers."""
        port, source = how.pop("port", self.port), how.pop("source", "127.0.0.1")
        post, patience = how.pop("post", ""), how.pop("patience", 10)
        lines = [f"{'POST' if post else 'GET'} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in how.items()]
        lines += [f"Content-Length: {len(post)}"] if post else []
        self.seen.clear()
        with socket.create_connection(
            ("127.0.0.1", port), timeout=patience, source_address=(source, 0)
        ) as connection:
            connection.sendall(("\r\n".join([*lines, "", ""]) + post).encode())
            return int(connection.makefile("rb").readline().split()[1])

    def reaches(self, target: str, host: str = N8N, /, **how: Any) -> bool:
        """Whether a request arrives at the service; where not, it was asked for a token."""
        status = self.ask(target, host, **how)
        assert status == (200 if self.seen else 401)
        return bool(self.seen)


def _local(text: str, proxy: Proxy, ports: Iterable[int]) -> str:
    """The rendered Caddyfile without TLS and logs, with every end of a wire on this machine."""
    service, validator, second, second_validator = ports
    text = re.sub(r"^\t(email|admin|grace_period) .*\n", "", text, flags=re.MULTILINE)
    text = text.replace("{\n", "{\n\tadmin off\n", 1).replace("127.0.0.1:2020", f"127.0.0.1:{free_port()}")
    text = re.sub(r"^\timport site .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(
        r"^([a-z0-9-]+\.smarterbot\.\w+) {", rf"http://\1:{proxy.port} {{", text, flags=re.MULTILINE
    )
    for wanted, given in proxy.loopback.items():
        text = text.replace(f"http://:{wanted} {{", f"http://:{given} {{")
    text = re.sub(r"import (to|rolls) \S+ \d+ ", rf"import \1 127.0.0.1 {service} ", text)
    text = re.sub(r"import again \S+ ", "import again 127.0.0.1 ", text)
    text = text.replace("vault-auth-validator:8080", f"127.0.0.1:{validator}").replace(
        "root /tmp", f"root {proxy.folder}"
    )
    text = text.replace("{args[0]}-second:{args[1]}", f"127.0.0.1:{second}")
    text = text.replace("vault-auth-validator-second:8080", f"127.0.0.1:{second_validator}")
    # A client of this machine can come from another of its addresses; in settings loopback is nobody's.
    return text.replace("198.51.100.7", "127.0.0.9")


@contextmanager
def running(folder: Path, **overrides: Any) -> Iterator[Proxy]:
    """Caddy with the Caddyfile of these overrides, one service for all routes behind it, a validator, and one that stands in for each."""
    settings = stack(overrides=overrides)
    ports = [route.loopback for service in load(settings) for route in service.routes if route.loopback]
    proxy = Proxy(free_port(), {port: free_port() for port in ports}, folder)
    text = render.tree(settings)["caddy/Caddyfile"]
    with ExitStack() as opened:
        kinds = (_Service, _Validator, _Service, _Validator)
        servers = [opened.enter_context(_Server(("127.0.0.1", 0), kind)) for kind in kinds]
        for server in servers:
            server.seen = []
            Thread(target=server.serve_forever, daemon=True).start()
        servers[0].seen = proxy.seen
        proxy.firsts += servers[:2]
        proxy.seconds += servers[2:]
        (folder / "Caddyfile").write_text(_local(text, proxy, (server.server_port for server in servers)))
        try:
            with running_caddy(folder, proxy.port):
                yield proxy
        finally:
            for server in servers:
                server.shutdown()

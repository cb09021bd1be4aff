"""Under way: what the rollout's shell makes of what a real Caddy says of requests and WebSockets that have not ended."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.operations import rolling
from tests.openbao import free_port
from tests.validator_caddy import running_caddy

CADDYFILE = """
{{
	admin 127.0.0.1:{admin}
}}
http://:{port} {{
	reverse_proxy /web* localhost:{web}
	reverse_proxy localhost-second:1
}}
"""
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
ASKED = b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
DOCKER = """#!{python}
import sys, urllib.request
assert sys.argv[1:4] == ["exec", "caddy-proxy", "wget"], sys.argv
print(urllib.request.urlopen(sys.argv[-1].replace(":2019/", ":{admin}/")).read().decode(), end="")
"""


@pytest.fixture
def caddy(tmp_path: Path) -> Iterator[int]:
    """The port of a Caddy before a service that takes its time, or speaks WebSocket."""
    admin, port = free_port(), free_port()

    def serve(connection: socket.socket) -> None:
        if b"/web/socket" in connection.recv(4096):
            connection.sendall(UPGRADED)
        connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as service:

        def accept() -> None:
            while True:
                try:
                    connection, _ = service.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        text = CADDYFILE.format(admin=admin, port=port, web=service.getsockname()[1])
        (tmp_path / "Caddyfile").write_text(text)
        (tmp_path / "docker").write_text(DOCKER.format(python=sys.executable, admin=admin))
        (tmp_path / "docker").chmod(0o755)
        with running_caddy(tmp_path, port):
            yield port


def counted(folder: Path, name: str) -> int:
    script = f'{rolling.functions(["web"], "docker exec caddy-proxy")}\nunder_way "$1"'
    path = f"{folder}:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", "-c", script, "sh", name], env={"PATH": path}, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def until(folder: Path, name: str, wanted: int) -> None:
    deadline = time.monotonic() + 10
    while (found := counted(folder, name)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_requests_and_websockets_are_counted_until_they_end(tmp_path: Path, caddy: int) -> None:
    assert counted(tmp_path, "localhost") == 0
    with (
        socket.create_connection(("127.0.0.1", caddy), timeout=10) as opened,
        socket.create_connection(("127.0.0.1", caddy), timeout=10) as asked,
    ):
        opened.sendall(ASKED % b"/web/socket")
        assert b"101" in opened.recv(4096)
        until(tmp_path, "localhost", 1)
        asked.sendall(b"GET /web/slow HTTP/1.1\r\nHost: a\r\n\r\n")
        until(tmp_path, "localhost", 2)
        assert counted(tmp_path, "localhost-second") == 0
        assert counted(tmp_path, "local") == 0
    until(tmp_path, "localhost", 0)


def test_a_proxy_that_does_not_answer_has_nobody(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    assert counted(tmp_path, "localhost") == 0

"""Odoo's health check against a server that answers pages as its workers do, each with a database to load first."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasks.rendering import render
from tasks.services import load
from tests.samples import stack

STACK = stack()
FILES = render.render(STACK, next(item for item in load(STACK) if item.name == "odoo"))
WORKERS = 4


class Odoo:
    """asked: paths, in their order. together: a page is answered when so many are asked for at once. statuses: of the answers, by path."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.together = threading.Barrier(WORKERS)
        self.statuses = {"/web/health": 200, "/web/login": 200}
        self.loads = threading.Event()
        self.loads.set()


@pytest.fixture
def odoo(tmp_path: Path) -> Iterator[Odoo]:
    state = Odoo()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            if self.path == "/web/login":
                state.loads.wait()
                state.together.wait()
            self.send_response(state.statuses[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "odoo.conf").write_text(FILES["odoo/odoo.conf"])
    text = FILES["odoo/healthy"]
    for here, there in {"8069": str(server.server_port), "/tmp/": f"{tmp_path}/", "/etc/odoo": str(tmp_path)}.items():  # fmt: skip
        assert here in text
        text = text.replace(here, there)
    (tmp_path / "healthy").write_text(text)
    yield state
    server.shutdown()
    server.server_close()


def healthy(folder: Path) -> bool:
    return subprocess.run(["sh", folder / "healthy"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("status", [200, 404])
def test_all_workers_load_the_database_once_before_it_is_healthy(
    odoo: Odoo, tmp_path: Path, status: int
) -> None:
    odoo.statuses["/web/login"] = status
    assert healthy(tmp_path)
    assert odoo.asked == ["/web/health", *["/web/login"] * WORKERS]
    assert healthy(tmp_path)
    assert odoo.asked[1 + WORKERS :] == ["/web/health"]


def test_one_that_does_not_answer_is_not_healthy(odoo: Odoo, tmp_path: Path) -> None:
    odoo.statuses["/web/health"] = 500
    assert not healthy(tmp_path)
    assert odoo.asked == ["/web/health"]


def test_one_that_loads_for_long_serves_after_a_minute(odoo: Odoo, tmp_path: Path) -> None:
    odoo.loads.clear()
    assert not healthy(tmp_path)
    os.utime(tmp_path / "begun", (0, time.time() - 50))
    assert not healthy(tmp_path)
    os.utime(tmp_path / "begun", (0, time.time() - 61))
    assert healthy(tmp_path)

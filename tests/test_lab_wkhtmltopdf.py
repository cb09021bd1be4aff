"""What prints for Odoo in the lab: a PDF where it gets as much address space as QtWebKit reserves, else a crash; and
with the styles that a page names, else nothing.
"""

import re
import resource
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tasks.rendering import render
from tests.lab.images import FOLDER
from tests.samples import stack

PROGRAM = FOLDER / "odoo" / "wkhtmltopdf"


def printed(tmp_path: Path, hard: int, text: str = "A (simple) page") -> tuple[int, bytes]:
    """The status and what was written, under this limit of address space."""
    tmp_path.mkdir(exist_ok=True)
    page, made = tmp_path / "body.html", tmp_path / "report.pdf"
    page.write_text(f"<html><style>b {{}}</style><b>{text}</b></html>")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--quiet", "--page-size", "A4", str(page), str(made)],
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (hard, hard)),
    )
    return done.returncode, made.read_bytes() if made.exists() else b""


def hard_limit(**changes: Any) -> int:
    """What a worker of Odoo's hands on to the programs that it starts."""
    found = re.search(
        r"^limit_memory_hard = (\d+)", render.tree(stack(**changes))["odoo/odoo.conf"], re.MULTILINE
    )
    assert found
    return int(found[1])


@pytest.mark.parametrize("memory_mb", [1024, 1500, 2048, 8192])
def test_odoo_prints_whatever_memory_it_is_given(tmp_path: Path, memory_mb: int) -> None:
    hard = hard_limit(overrides={"odoo": {"memory_mb": memory_mb}})
    for text in ("A (simple) page", "a long report " * 200_000):
        status, made = printed(tmp_path, hard, text)
        assert (status, made[:5], made[-6:]) == (0, b"%PDF-", b"%%EOF\n")
    assert b"a long report" in made


class _Styles(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/web/assets/report.css?a=1&b=2"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/css; charset=utf-8")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


def test_it_prints_nothing_without_the_styles_that_its_input_names(tmp_path: Path) -> None:
    hard = hard_limit()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Styles) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        base = f'<base href="http://127.0.0.1:{server.server_port}"/>'
        link = '<link type="text/css" rel="stylesheet" href="/web/assets/report.css?a=1&amp;b=2"/>'
        assert printed(tmp_path, hard, base + link)[0] == 0
        assert printed(tmp_path / "none", hard, base + link.replace("report", "gone")) == (2, b"")
        server.shutdown()
    assert printed(tmp_path / "none", hard, base + link) == (2, b"")
    assert printed(tmp_path / "none", hard, link) == (2, b"")


def test_three_quarters_of_the_container_were_too_little(tmp_path: Path) -> None:
    assert printed(tmp_path, 1500 * 2**20 * 3 // 4) == (-11, b"")
    assert printed(tmp_path, 2048 * 2**20 * 3 // 4)[0] == 0
    assert printed(tmp_path, 2048 * 2**20 * 3 // 4, "a long report " * 200_000)[0] == -11


def test_it_says_which_version_it_stands_for() -> None:
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == "wkhtmltopdf 0.12.6.1 (with patched qt)\n"

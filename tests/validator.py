"""The vault-auth-validator as it runs in production, in a process of its own, for tests."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.openbao import free_port

SOURCE = Path(__file__).parents[1] / "files" / "vault-auth-validator"


@dataclass(frozen=True)
class Validator:
    """The running service."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ask(self, path: str, method: str = "GET", /, **headers: str | bytes) -> httpx.Response:
        """One request, on a connection of its own; `x_vault_token` stands for the header X-Vault-Token."""
        named = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
        encoded = [(name, value.encode() if isinstance(value, str) else value) for name, value in named]
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, headers=encoded, timeout=10, trust_env=False)

    def send(self, path: str, fields: dict[str, str], /, **headers: str) -> httpx.Response:
        """A form, sent as browsers do."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.post(url, data=fields, headers=named, timeout=10, trust_env=False)

    def answer(self, **headers: str | bytes) -> tuple[int, Any]:
        """Status and body of /validate."""
        response = self.ask("/validate", **headers)
        return response.status_code, response.json()


@contextmanager
def running_validator(folder: Path, vault_addr: str, **settings: str) -> Iterator[Validator]:
    """The service in a process of its own, ready; ended with the block. `settings` are more variables."""
    port = free_port()
    log = folder / f"validator-{port}.log"
    environ = {"VAULT_ADDR": vault_addr, "LISTEN": f"127.0.0.1:{port}"} | settings
    with log.open("wb") as sink:
        process = start("vault_auth_validator", environ, sink)
    validator = Validator(process, port, log)
    try:
        wait_until_ready(validator)
        yield validator
    finally:
        process.kill()
        process.wait()


def start(module: str, environ: dict[str, str], sink: Any = subprocess.PIPE) -> subprocess.Popen[bytes]:
    everything = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",
    } | environ
    return subprocess.Popen(
        [sys.executable, "-m", module], env=everything, stdout=sink, stderr=subprocess.STDOUT
    )


def run(module: str, environ: dict[str, str]) -> tuple[int, str]:
    """Exit code and output of a module that ends by itself; one that does not is killed, and an error."""
    with start(module, environ) as process:
        try:
            output, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    return process.returncode, output.decode()


def wait_until_ready(validator: Validator) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and validator.process.poll() is None:
        try:
            validator.ask("/health").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the service does not start: {validator.log.read_text()}")


def vault_headers(response: httpx.Response) -> dict[str, str]:
    """Whose token it is, as the answer says."""
    return {name: value for name, value in response.headers.items() if name.startswith("x-vault-")}

"""The Vault of a deployed host, as its operator reaches it: through an SSH tunnel, with the kept credential."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import hvac
import requests

from tasks.services import load
from tests.e2e.deployment import Deployment
from tests.lab import smarteros
from tests.openbao import free_port

MOUNT = "secret"
SERVICES = load(smarteros.settings())
WITH_SECRETS = tuple(sorted(service.name for service in SERVICES if service.secrets))
# Ours: the digest key, and the key of Dokploy's API, which is not its container's.
OWN_PATHS = ("smarteros", "dokploy-import")
PATHS = (*OWN_PATHS, *WITH_SECRETS)
# The folder of env files as it has to be: nobody but root may even list it.
PRIVATE = [". 700 root:root", *(f"{name}.env 600 root:root" for name in WITH_SECRETS)]


@dataclass(frozen=True)
class Vault:
    """A client that is logged in as the deployer."""

    client: hvac.Client

    def read(self, path: str) -> tuple[dict[str, Any], int]:
        """Values of a path and their version."""
        found = self.client.secrets.kv.v2.read_secret_version(
            path, mount_point=MOUNT, raise_on_deleted_version=True
        )["data"]
        return dict(found["data"]), int(found["metadata"]["version"])

    def write(self, path: str, values: dict[str, Any]) -> None:
        """A new version of a path."""
        self.client.secrets.kv.v2.create_or_update_secret(path, values, mount_point=MOUNT)

    def everything(self) -> dict[str, tuple[dict[str, Any], int]]:
        """All paths there are, with values and versions."""
        names = self.client.secrets.kv.v2.list_secrets("", mount_point=MOUNT)["data"]["keys"]
        return {name: self.read(name) for name in names}


def kept(deployment: Deployment) -> dict[str, Any]:
    """What this machine keeps of the host's Vault."""
    path = deployment.lab.state.folder / "state" / deployment.host.name / "vault.json"
    return dict(json.loads(path.read_text()))


def env_file_modes(deployment: Deployment) -> list[str]:
    """What PRIVATE is compared with."""
    return deployment.sh("cd /vault/secrets && stat -c '%n %a %U:%G' . *").splitlines()


@contextmanager
def opened(deployment: Deployment) -> Iterator[Vault]:
    """The host's Vault, for the length of the block."""
    port = free_port()
    tunnel = subprocess.Popen([*deployment.host.ssh(), "-N", "-L", f"127.0.0.1:{port}:127.0.0.1:8200"])
    try:
        yield Vault(_login(port, kept(deployment)))
    finally:
        tunnel.terminate()
        tunnel.wait(10)


def _login(port: int, state: dict[str, Any]) -> hvac.Client:
    session = requests.Session()
    session.trust_env = False
    client = hvac.Client(url=f"http://127.0.0.1:{port}", session=session, timeout=10)
    for _ in range(100):
        try:
            client.auth.approle.login(state["role_id"], state["secret_id"])
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return client
    raise TimeoutError("the tunnel to Vault does not come up")

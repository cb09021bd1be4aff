"""A host with backups, its bucket and the kit of its operator."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.clients import kit as kits
from tests.e2e.deployment import Deployment, Run, outcomes
from tests.lab import network, s3, smarteros

BUCKET, CHECK = (f"tasks.commands.{name}.run" for name in ("bucket", "kit_check"))
# A first deploy as somebody makes it who forgets the bucket at first, and has the kit checked too early.
FIRST = ("deploy.py", BUCKET, CHECK, "deploy.py", CHECK, "deploy.py")
SERVICES = ["vault", "postgres", "redis", "n8n", "vault-auth-validator", "caddy"]


class Backed:
    """Runs on a host whose settings name the bucket, with what the operator has in the environment."""

    def __init__(
        self,
        host: Deployment,
        setting: dict[str, str],
        path: Path,
        services: Sequence[str] = ("vault", "postgres"),
    ) -> None:
        self.host, self.path = host, path
        self._settings: dict[str, Any] = {"services": list(services), "backup": setting}
        operator = {"AWS_ACCESS_KEY_ID": s3.ADMIN[0], "AWS_SECRET_ACCESS_KEY": s3.ADMIN[1]}
        self._environment = {**host.lab.names, **operator, "KIT": str(path)}
        self.first: list[Run] = []

    def run(
        self,
        deploy: str = "deploy.py",
        environment: dict[str, str] | None = None,
        typed: str = "",
        **settings: Any,
    ) -> Run:
        """One of them, as loud as it gets. typed: what it reads."""
        given = {**self._settings, **settings}
        words = {**self._environment, **(environment or {})}
        return self.host.run("-vvv", deploy=deploy, environment=words, typed=typed, **given)

    def module(self, name: str, inventory: Path, **words: str) -> Run:
        """A program of ours that calls pyinfra itself, with all that is given to a run of this host. words: of its environment."""
        _, *arguments, _ = self.host.argv(inventory=str(inventory), deploy="", **self._settings)
        done = subprocess.run(
            [sys.executable, "-m", name, *arguments],
            cwd=smarteros.ROOT,
            env={**os.environ, "SMARTEROS_LAB": self.host.lab.name, **self._environment, **words},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        return Run(done.returncode, done.stdout, *outcomes(done.stdout))

    def kit(self) -> kits.Kit:
        """The operator's file."""
        found = kits.read(self.path)
        assert found is not None
        return found


def deployed(host: Deployment, path: Path, services: Sequence[str] = SERVICES) -> Backed:
    """The bare host, deployed with backups; what the operator keeps is at this path. ``first`` has its runs (test_bucket.py)."""
    found = Backed(host, host.lab.bucket(host.host.name), path, services=services)
    host.lab.point(smarteros.domains(), host.host)
    found.first = [found.run(deploy) for deploy in FIRST]
    for run in found.first[-3:]:
        assert run.code == 0, run.output[-6000:]
    return found


@contextmanager
def bucket_away(deployment: Deployment) -> Iterator[None]:
    """The server is gone, as where a provider has an outage."""
    container = network.find(deployment.lab.client, deployment.lab.state.key, "s3")
    assert container is not None
    container.pause()
    try:
        yield
    finally:
        container.unpause()

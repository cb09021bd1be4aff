"""What the lab must have for a deployment of ours: the catalogue's images, its domains, the ACME root."""

import hashlib
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.model import catalogue
from tasks.model import settings as outside
from tasks.model.stack import Stack
from tasks.services import every, load
from tests.lab import bare, layers
from tests.lab.daemon import Progress
from tests.lab.lab import Lab

ROOT = Path(__file__).resolve().parents[2]

# What images of ours are built from on the host.
BASES = ("python:3.13-slim", "restic/restic:0.18.1")


def settings(**changes: Any) -> Stack:
    """The lab's settings: all.py, then what the lab needs where no certificate authority is paid for, then these."""
    found = {
        key: value
        for key, value in runpy.run_path(str(ROOT / "group_data" / "all.py")).items()
        if not key.startswith("__")
    }
    return outside.read(
        found | {"acme_email": "ops@smarterbot.cl", "vault_engine": "openbao"} | changes, every()
    )


def images() -> list[str]:
    """Upstream references of every image that a deployment pulls."""
    containers = [container for service in load(settings()) for container in service.containers]
    return sorted(
        {container.image for container in containers if not (container.build or container.fork)} | set(BASES)
    )


def domains() -> list[str]:
    """Every name that the deployment answers under."""
    stack = settings()
    return [
        name
        for service in load(stack)
        for route in service.routes
        for name in catalogue.domains(stack, route)
    ]


def prepare(lab: Lab, hosts: Sequence[str], system: str = "debian13") -> None:
    """The lab is up with these hosts, the first of which the domains point at."""
    lab.up(hosts, images(), system)
    lab.point(domains(), hosts[0])
    lab.acme_root()


def unpack(progress: Progress = print) -> None:
    """What Docker unpacks of the images is there for the hosts that labs of this machine make from now on (layers.py)."""
    lab, name = Lab("layers", progress), "layers"
    lab.up([])
    try:
        if lab.description.images != "local":
            return
        found = hashlib.sha256("\n".join(lab.publish(images())).encode()).hexdigest()
        if layers.kept(lab.client) == found:
            return
        host = lab.add_host(name, "docker")
        host.run(f"printf '%s\\n' {' '.join(images())} | xargs -n 1 -P 2 docker pull --quiet")
        if not layers.keep(lab.client, bare.volumes(lab.client, lab.state.key, name)["docker"], found):
            progress("each host unpacks its images itself: the folders of Docker's volumes are not in reach")
    finally:
        lab.down()

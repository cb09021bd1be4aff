"""What the lab needs of this machine: a few Debian packages, and Docker, the one that answers or one of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from docker.client import DockerClient

from tests.lab import daemon
from tests.lab.daemon import Progress
from tests.lab.images import MACHINE_PACKAGES

# Debian package → a program that tells whether it is there.
ALWAYS = {"mmdebstrap": "mmdebstrap", "openssh-client": "ssh", "curl": "curl"}
FOR_DOCKER = {"docker.io": "dockerd", "iptables": "iptables", "iproute2": "ip"}
# What tests need that look at pages as people do.
FOR_BROWSING = {"chromium": "chromium", "chromium-driver": "chromedriver", "libnss3-tools": "certutil"}


class MachineError(Exception):
    """The lab cannot run on this machine."""


def docker(progress: Progress = print) -> DockerClient:
    """A client of the Docker that the lab uses, which is started when there is none."""
    require(ALWAYS, progress)
    client = running_docker()
    if client:
        return client
    require(FOR_DOCKER, progress)
    # Where systemd runs, installing the package has started a daemon.
    return running_docker() or daemon.start(daemon.ours(), progress)


def running_docker() -> DockerClient | None:
    """The user's own Docker if it answers, else ours if it answers."""
    return daemon.connect() or daemon.connect(daemon.ours().url)


def stop(progress: Progress = print, *, purge: bool = False) -> None:
    """End our own dockerd, if we started one."""
    daemon.stop(daemon.ours(), progress, purge=purge)


def require(programs: Mapping[str, str], progress: Progress = print) -> None:
    """Install the Debian packages whose programs are missing on this machine."""
    missing = [package for package, program in programs.items() if not shutil.which(program)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise MachineError(f"the lab needs {', '.join(missing)}: install it, or run as root on Debian")
    packages = sorted({*missing, *MACHINE_PACKAGES})
    progress(f"installing {' '.join(packages)}")
    _apt("update")
    _apt("install", "-y", "--no-install-recommends", *packages)


def _apt(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-q", *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise MachineError(f"{' '.join(command)} exited with {result.returncode}:\n{result.stderr[-2000:]}")

"""A dockerd of our own, for a machine that has none: own data, own socket, nothing else touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.client import DockerClient
from docker.errors import DockerException

Progress = Callable[[str], None]
REQUEST_SECONDS = 1800  # pushing an image answers late
WAIT_SECONDS = 30


class DaemonError(Exception):
    """Our dockerd does not start or does not end."""


@dataclass(frozen=True)
class Daemon:
    """Where our dockerd keeps its data and what runs."""

    data: Path
    run: Path

    @property
    def data_root(self) -> Path:
        """Images, containers and volumes."""
        return self.data / "docker"

    @property
    def url(self) -> str:
        """Where it answers, as DOCKER_HOST has it."""
        return f"unix://{self.run / 'docker.sock'}"

    @property
    def pid_file(self) -> Path:
        """Written by dockerd itself."""
        return self.run / "docker.pid"

    @property
    def log(self) -> Path:
        """What it says, of all its runs since the machine started."""
        return self.run / "docker.log"

    def command(self) -> list[str]:
        """How it is started."""
        return [
            "dockerd", "--data-root", str(self.data_root), "--exec-root", str(self.run / "exec"),
            "--pidfile", str(self.pid_file), "-H", self.url,
        ]  # fmt: skip

    def pid(self) -> int | None:
        """The process in the pid file, if it still is a dockerd with our data."""
        try:
            pid = int(self.pid_file.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.data_root) in words else None


def ours() -> Daemon:
    """Our own dockerd, all of it below SMARTEROS_LAB_ROOT when that is set."""
    root = os.environ.get("SMARTEROS_LAB_ROOT")
    if root:
        return Daemon(data=Path(root), run=Path(root, "run"))
    return Daemon(data=Path("/var/lib/smarteros-lab"), run=Path("/run/smarteros-lab"))


def connect(url: str | None = None) -> DockerClient | None:
    """A client, if Docker answers there; without an address at DOCKER_HOST or the default socket."""
    try:
        if url:
            client = docker.DockerClient(base_url=url, timeout=REQUEST_SECONDS)
        else:
            client = docker.from_env(timeout=REQUEST_SECONDS)
        client.ping()
    except DockerException:
        return None
    return client


def start(daemon: Daemon, progress: Progress = print) -> DockerClient:
    """Start it, detached so that it outlives this command, and wait until it answers."""
    progress(f"starting dockerd with {daemon.data_root}")
    daemon.run.mkdir(parents=True, exist_ok=True)
    with daemon.log.open("ab") as log:
        process = subprocess.Popen(
            daemon.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        client = connect(daemon.url)
        if client:
            return client
        time.sleep(0.2)
    tail = "\n".join(daemon.log.read_text(errors="replace").splitlines()[-15:])
    raise DaemonError(
        f"dockerd ended, or did not answer within {WAIT_SECONDS} s; the end of {daemon.log}:\n{tail}"
    )


def stop(daemon: Daemon, progress: Progress = print, *, purge: bool = False) -> None:
    """End the dockerd that we started, and no other; with `purge` remove its data as well."""
    pid = daemon.pid()
    if pid is not None:
        progress(f"stopping dockerd {pid}")
        os.kill(pid, signal.SIGTERM)
        _wait_gone(pid)
    if purge:
        shutil.rmtree(daemon.data_root, ignore_errors=True)
        shutil.rmtree(daemon.run, ignore_errors=True)


def _wait_gone(pid: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if _is_gone(pid):
            return
        time.sleep(0.1)
    raise DaemonError(f"dockerd {pid} is still there after {WAIT_SECONDS} s: look at its log")


def _is_gone(pid: int) -> bool:
    """Also true of a zombie: where PID 1 does not collect orphans, it would stay for ever."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True

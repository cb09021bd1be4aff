"""What Dokploy does with the host's Docker: it deploys compose projects from its folder, and clears up every night."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from types import FrameType
from urllib.parse import quote

from double.docker_socket import DockerSocket
from double.dokploy_state import State
from double.store import Row

COMPOSE = Path("/etc/dokploy/compose")
# docker container, image --all, builder --all and system prune --all; volumes are left out (utils/docker/utils.ts).
PRUNED = (
    "/containers/prune",
    f"/images/prune?filters={quote(json.dumps({'dangling': ['false']}))}",
    "/build/prune?all=true",
    "/networks/prune",
)


class Nightly:
    """The clean-up at 23:50: armed when the program starts and there is an owner, and by whoever turns it on.

    Here it is 23:50 when the process gets SIGUSR1.
    """

    def __init__(self, state: State, docker: DockerSocket) -> None:
        self.docker = docker
        self.armed = state.owner_exists() and state.cleans_up()
        signal.signal(signal.SIGUSR1, self._night)

    def _night(self, _number: int, _frame: FrameType | None) -> None:
        if self.armed:
            threading.Thread(target=self._clean).start()
        print(f"Docker Cleanup: {'Running docker cleanup' if self.armed else 'not scheduled'}")

    def _clean(self) -> None:
        for path in PRUNED:
            self.docker.request("POST", path)
        print("Docker Cleanup: done")


def deploy(state: State, compose: Row) -> None:
    """A raw compose project, as utils/builders/compose.ts runs it: inside this container, in a folder made anew."""
    name, file = compose["appName"], "docker-compose.yml"
    folder = COMPOSE / name / "code"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / file).write_text(compose["composeFile"])
    if compose["composeType"] == "stack":
        command = ["stack", "deploy", "-c", file, name, "--prune", "--with-registry-auth"]
    else:
        command = ["compose", "-p", name, "-f", file, "up", "-d", "--build", "--remove-orphans"]
    done = subprocess.run(["docker", *command], cwd=folder, env=_environment("PATH", "HOME"), check=False)
    state.set_status(compose["composeId"], "error" if done.returncode else "done")


def remove(name: str, *, volumes: bool) -> None:
    """What was deployed under that name goes, and its folder with all that stands there, whatever is said of volumes.

    As services/compose.ts has it: nothing that goes wrong here keeps the entry.
    """
    command = ["docker", "compose", "-p", name, "down", *(["--volumes"] if volumes else [])]
    subprocess.run(command, env=_environment("PATH"), check=False)
    shutil.rmtree(COMPOSE / name, ignore_errors=True)


def _environment(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}

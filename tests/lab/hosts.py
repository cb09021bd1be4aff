"""A bare host: a container with systemd and sshd that was given nothing of ours but a key to log in with."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from io import BytesIO
from struct import Struct

from docker.client import DockerClient
from docker.models.containers import Container
from requests import RequestException

from tests.lab import bare, network
from tests.lab.state import State

REBOOT_SECONDS = 60
UP = ("running", "degraded")
# What Docker sends before each piece of output: of which stream it is, and its length.
_FRAME = Struct(">4xI")


class HostError(Exception):
    """A host does not do what it was told."""


@dataclass(frozen=True)
class LabHost:
    """One host of a lab, reached over real SSH as root."""

    client: DockerClient
    state: State
    name: str
    address: str

    def run(
        self,
        command: str,
        *,
        check: bool = True,
        input: str | None = None,  # noqa: A002 -- as subprocess.run() has it
        timeout: float = 600,
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command there. With `check`, anything but exit code 0 raises."""
        result = subprocess.run(
            [*self.ssh(), command], input=input, stdin=None if input is not None else subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=timeout, check=False,
        )  # fmt: skip
        if check and result.returncode != 0:
            tail = (result.stdout + result.stderr)[-3000:]
            raise HostError(f"{self.name}: {command!r} exited with {result.returncode}:\n{tail}")
        return result

    def inside(self, command: str) -> tuple[int, str]:
        """Exit code and output, both streams together, of a shell command that comes there past SSH.

        Not by exec_run, which loses what arrives together with the answer's headers.
        """
        api = self.client.api
        made = api.exec_create(self.container().id, ["sh", "-c", command])["Id"]
        with api.post(f"{api.base_url}/exec/{made}/start", json={"Tty": False}, stream=True) as answer:
            frames = BytesIO(answer.raw.read())
        output = b""
        while header := frames.read(_FRAME.size):
            output += frames.read(_FRAME.unpack(header)[0])
        while (ended := api.exec_inspect(made))["Running"]:
            time.sleep(0.05)
        return int(ended["ExitCode"]), output.decode().strip()

    def ssh(self) -> list[str]:
        """The command that logs in; the user's own SSH settings do not count."""
        options = {
            "UserKnownHostsFile": self.state.known_hosts, "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes", "IdentitiesOnly": "yes", "BatchMode": "yes",
            "ConnectTimeout": 5, "ServerAliveInterval": 5, "LogLevel": "ERROR",
        }  # fmt: skip
        words = [f"-o{key}={value}" for key, value in options.items()]
        return ["ssh", "-F", "/dev/null", "-i", str(self.state.ssh_key), *words, f"root@{self.address}"]

    def container(self) -> Container:
        """The container that plays this host, with its present state."""
        found = network.find(self.client, self.state.key, self.name)
        if not found:
            raise HostError(f"lab {self.state.name} has no host {self.name}")
        return found

    def wait(self, timeout: float = REBOOT_SECONDS) -> str:
        """Wait until sshd answers and systemd has finished booting; `running` or `degraded`."""
        deadline = time.monotonic() + timeout
        answer = ""
        while time.monotonic() < deadline:
            result = self.run("systemctl is-system-running", check=False)
            answer = result.stdout.strip() or result.stderr.strip()
            if answer in UP:
                return answer
            time.sleep(0.2)
        raise HostError(f"{self.name} is not up after {timeout:.0f} s, last answer: {answer}")

    def reboot(self) -> None:
        """`systemctl reboot`, and wait until the host is back."""
        self.off("reboot")
        self.on()

    def off(self, how: str = "poweroff") -> None:
        """Shut down; nothing of it runs until `on`."""
        self.run(f"systemctl {how}", check=False)
        try:
            self.container().wait(timeout=REBOOT_SECONDS * 2)
        except RequestException as error:
            raise HostError(f"{self.name} did not go down to {how}") from error

    def on(self) -> None:
        """Boot, and wait until sshd answers."""
        self.container().start()
        self.wait()

    def power_cut(self) -> None:
        """Lose power: nothing is told to stop. Then boot again."""
        container = self.container()
        container.kill()
        container.start()
        self.wait()


def converge(client: DockerClient, state: State, name: str, address: str, image: str) -> tuple[LabHost, bool]:
    """A running host under that name, and whether it had to be made. One that is there keeps its image."""
    host = LabHost(client, state, name, address)
    container = network.find(client, state.key, name)
    new = container is None
    container = container or bare.create(client, state, name, address, image)
    if container.status != "running":
        container.start()
    if host.wait() != "running" and new:
        raise HostError(f"{name} boots with failures:\n{host.run('systemctl --failed', check=False).stdout}")
    return host, new

"""Docker's API over its socket, as much of it as Dokploy uses while it starts and for a terminal."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

from double.contract import Refused


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=10)
        self.path = path

    def connect(self) -> None:
        """To the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass(frozen=True)
class DockerSocket:
    """A mounted socket."""

    path: str

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and answer; the answer is text where it is not JSON."""
        connection = _Connection(self.path)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if text[:1] in ("{", "[") else text
        finally:
            connection.close()

    def demand(self) -> None:
        """Docker must answer."""
        try:
            status, text = self.request("GET", "/_ping")
        except OSError as error:
            raise Refused(f"Docker does not answer on {self.path}: {error.strerror or error}") from None
        if (status, text) != (200, "OK"):
            raise Refused(f"Docker on {self.path} answers {status} to /_ping")

    def demand_network(self, name: str) -> None:
        """The network must be there; a missing one is made as upstream makes it, which takes a swarm's manager."""
        if self.request("GET", f"/networks/{name}")[0] == 200:
            return
        wanted = {"Name": name, "Driver": "overlay", "Attachable": True}
        status, answer = self.request("POST", "/networks/create", wanted)
        if status != 201:
            raise Refused(
                f"the network {name} is missing and cannot be made: {answer.get('message', answer)}"
            )

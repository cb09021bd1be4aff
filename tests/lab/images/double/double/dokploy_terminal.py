"""Dokploy's terminal of a container, without a shell behind it: it checks what upstream checks and sends back."""

from __future__ import annotations

import re
from collections.abc import Mapping

from double.docker_socket import DockerSocket
from double.websocket import WebSocket

CONTAINER = re.compile(r"[a-fA-F0-9]{12,64}|[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
SHELLS = {"sh", "bash", "zsh", "ash"}


def terminal(socket: WebSocket, query: Mapping[str, str], docker: DockerSocket) -> None:
    """Upstream looks at the container's name before it looks at the session; here the session comes first."""
    container, shell = query.get("containerId", ""), query.get("activeWay", "sh")
    if not container:
        socket.close(4000, "containerId not provided")
        return
    if not CONTAINER.fullmatch(container):
        socket.close(4000, "Invalid container ID format")
        return
    if shell.removeprefix("/bin/") not in SHELLS:
        socket.close(4000, "Invalid shell specified")
        return
    status, answer = docker.request("GET", f"/containers/{container}/json")
    if status != 200:
        socket.send(f"Error response from daemon: {answer.get('message', answer)}\n")
        socket.close()
        return
    socket.send(f"{answer['Config']['Hostname']}:/# ")
    for text in socket.messages():
        socket.send(text)

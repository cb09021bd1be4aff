"""Applications: every service that is neither Vault, nor data, nor the proxy, in start order."""

from tasks.generation import digests
from tasks.operations import containers
from tasks.run import services


def run() -> None:
    """The phase. One that does not become healthy stops the run: those after it are not touched."""
    for service in services():
        if service.phase == "services":
            containers.start(service, digests(service), name=f"Services | {service.title}")

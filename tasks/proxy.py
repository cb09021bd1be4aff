"""Proxy: Caddy runs, and has loaded the Caddyfile of the active generation."""

from tasks import render
from tasks.generation import digests, tree
from tasks.operations import containers
from tasks.run import services


def run() -> None:
    """The phase. It comes after the services, so that no domain answers before its service is its owner's."""
    for service in services():
        if service.phase == "proxy":
            containers.start(service, digests(service), name=f"Proxy | {service.title}")
            digest = render.caddyfile_digest(tree()["caddy/Caddyfile"])
            path = f"{render.CURRENT}/caddy/Caddyfile"
            containers.caddyfile(
                service.containers[0].name, digest, path, name="Proxy | the Caddyfile is loaded"
            )

"""Proxy: Caddy runs, and has loaded the Caddyfile of the active generation."""

from functools import partial

from tasks.connection import grouped
from tasks.operations import containers, takeover
from tasks.operations.described import digests, mounted, tree
from tasks.run import services, stack
from tasks.secrets import coming


def run() -> None:
    """The phase. It comes after the services, so that no domain answers before its service is its owner's. Names may lead to the data's node
    alone as yet: it passes on what the others' proxies are asked to prove, and so it is first.
    """
    if not grouped.elsewhere():
        _brought()
    if grouped.elsewhere():
        _brought()


def _brought() -> None:
    for service in services():
        if service.phase == "proxy":
            if stack().takeover:
                takeover.taken(service, name=f"Proxy | {service.title} takes over from another proxy")
            containers.start(
                service,
                digests(service),
                mounted(service),
                partial(coming, service),
                name=f"Proxy | {service.title}",
            )
            text = tree()["caddy/Caddyfile"]
            containers.caddyfile(service.containers[0], text, name="Proxy | the Caddyfile is loaded")

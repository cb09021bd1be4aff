"""Caddy: the single proxy. Everything it serves comes from the routes of the other services."""

from collections.abc import Iterator

from tasks.model.catalogue import Container, Health, Service, Size, Upstream, Volume
from tasks.model.policy import FILE_CAPABILITY
from tasks.model.stack import Stack
from tasks.model.visitor import Failed, Over, Visitor

# Bytes from which on Caddy packs a page, by its own default. A few services have no page that is as long.
_PACKED = 512


def describe(stack: Stack) -> Service:
    """The only container that publishes ports to the world; ``load`` adds the routes' loopback ports."""
    return Service(
        name="caddy",
        title="Caddy",
        phase="proxy",
        role="proxies",
        users=users,
        upstream=(Upstream("caddy", "https://github.com/caddyserver/caddy/releases/tag/v{version}"),),
        containers=(
            Container(
                name="caddy-proxy",
                # The newest patch of 2.11 in public use, and the lab's own.
                image="caddy:2.11.7-alpine",
                files={"caddy": "/etc/caddy"},
                reloads=True,
                networks=("smarter-net",),
                ports={
                    "80:80": "redirects to HTTPS and answers the certificate authority's challenge",
                    "443:443": "HTTPS",
                    "443:443/udp": "HTTP/3",
                },
                volumes=(
                    Volume(
                        "caddy_data",
                        "/data",
                        backup="files",
                        adopted="its certificates and its account with the authority are used",
                    ),
                    Volume(
                        "caddy_config",
                        "/config",
                        lost="what Caddy has loaded; the next start loads the Caddyfile",
                    ),
                    Volume("caddy_logs", "/var/log/caddy", lost="logs of visits, which nothing is made of"),
                ),
                cap_add={"NET_BIND_SERVICE": FILE_CAPABILITY},
                root="its certificates are in volumes that the image makes as root's",
                health=Health(("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:2020/")),
                # 45 MB in the lab, and as much of its program's file (see mcp_registry.py); what visitors add is theirs.
                size=Size(memory_mb=256, cpus=0.5, used_mb=90, image_gb=0.1),
                stop_seconds=30,
            ),
        ),
    )


def users(visitor: Visitor) -> Iterator[str]:
    """What browsers are served with, under every domain, whatever the service behind it says."""
    protocols: tuple[Over, ...] = ("HTTP/2", "HTTP/3")
    yield "be led from http to https"
    for domain in visitor.domains:
        led = visitor.get("/a?b=1", domain=domain, over="plain", expect=(308,)).headers.get("location")
        if led != f"https://{domain}/a?b=1":
            raise Failed(f"http://{domain}/a?b=1 leads to {led}")
    for protocol in protocols:
        yield f"use {protocol}"
        for domain in visitor.domains:
            spoken = visitor.get("/", domain=domain, over=protocol, expect=()).protocol
            if spoken != protocol:
                raise Failed(f"https://{domain}/ is served over {spoken}")
    yield "get a page compressed"
    packed = {"Accept-Encoding": "gzip"}
    pages = [visitor.get("/", domain=domain, headers=packed, expect=()) for domain in visitor.domains]
    long = any(len(page.body) >= _PACKED for page in pages)
    if long and not any(page.headers.get("content-encoding") == "gzip" for page in pages):
        raise Failed("no page comes with gzip")

"""MCP registry: a page and the registry's read API (GET /v0/servers), static, from the settings."""

import html
import re
from collections.abc import Iterator

from tasks.model.catalogue import Container, Health, Route, Service, Size
from tasks.model.policy import FILE_CAPABILITY
from tasks.model.stack import Stack
from tasks.model.visitor import Failed, Visitor


def describe(stack: Stack) -> Service:
    """Served by Caddy's own file server, so that no other image has to be trusted or updated."""
    return Service(
        name="mcp-registry",
        title="MCP Registry",
        users=users,
        routes=(Route("mcp", "mcp-registry-web", 80, mirrored=True),),
        containers=(
            Container(
                name="mcp-registry-web",
                image="caddy:2.11.7-alpine",  # the proxy's
                files={"mcp-registry": "/etc/caddy"},
                user="65534:65534",
                cap_add={"NET_BIND_SERVICE": FILE_CAPABILITY},
                tmpfs=("/tmp", "/data", "/config"),
                health=Health(("wget", "-q", "-O", "/dev/null", "http://127.0.0.1/v0/health")),
                # The real Caddy 2.11.7: 35 MB, and as much of its program's file; with 64 MB it read that over and over, and did
                # not start in a minute on a busy host.
                size=Size(memory_mb=128, cpus=0.25, used_mb=60, image_gb=0.1),
                twice="it serves files, and keeps nothing",
            ),
        ),
    )


def users(visitor: Visitor) -> Iterator[str]:
    """What people and programs are shown."""
    for domain in visitor.domains:
        yield f"compare page and API at {domain}"
        listed = visitor.get("/v0/servers", domain=domain).json()
        served = [entry["server"]["name"] for entry in listed["servers"]]
        page = visitor.get("/", domain=domain).text
        shown = [html.unescape(name) for name in re.findall(r"<h2>(.*?)</h2>", page)]
        if shown != served or listed["metadata"]["count"] != len(served):
            raise Failed(f"the page lists {len(shown)} servers, the API {len(served)}, or others")

"""MCP registry: a page and the registry's read API (GET /v0/servers), static, from the settings."""

from tasks.model.catalogue import Container, Health, Route, Service, Size
from tasks.model.policy import FILE_CAPABILITY
from tasks.model.stack import Stack


def describe(stack: Stack) -> Service:
    """Served by Caddy's own file server, so that no other image has to be trusted or updated."""
    return Service(
        name="mcp-registry",
        title="MCP Registry",
        rollout="rolling",
        routes=(Route("mcp", "mcp-registry-web", 80, mirrored=True),),
        containers=(
            Container(
                name="mcp-registry-web",
                image="caddy:2.11.4-alpine",
                files={"mcp-registry": "/etc/caddy"},
                user="65534:65534",
                cap_add={"NET_BIND_SERVICE": FILE_CAPABILITY},
                tmpfs=("/tmp", "/data", "/config"),
                health=Health(("wget", "-q", "-O", "/dev/null", "http://127.0.0.1/v0/health")),
                # Its program alone is 50 MB: with less the kernel only reads it from the disk again and again.
                size=Size(memory_mb=128, cpus=0.25),
            ),
        ),
    )

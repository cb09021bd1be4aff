"""Overrides of one service that would only fail later: too little memory, no way to it, a secret in plain text."""

from collections.abc import Iterator

from tasks.model.catalogue import CORE, Describe, Service
from tasks.model.stack import Override, Stack

# Where systems have their own: sshd, DNS, mail, portmap.
_FIRST_PORT = 1024


def mistakes(stack: Stack, service: Service, describe: Describe) -> Iterator[str]:
    """What the service cannot live with, and what would be in the files of a host that is in Vault for a reason."""
    change, path = stack.override(service.name), f"overrides.{service.name}"
    least = describe(stack).main.size.least
    if change.memory_mb and change.memory_mb < least:
        yield f"{path}.memory_mb: {change.memory_mb} is less than the {least} MB that {service.title} takes: it would be killed"
    if change.port and change.port < _FIRST_PORT:
        yield f"{path}.port: {change.port} is one of the system's: choose one from {_FIRST_PORT} on"
    if change.networks and CORE not in change.networks and CORE in stack.networks:
        yield f"{path}.networks: {CORE!r} is missing, where Caddy, the databases and Vault are"
    yield from _secrets(service, change, path)


def _secrets(service: Service, change: Override, path: str) -> Iterator[str]:
    secret = {item.name for item in service.secrets} | set(service.composed)
    for name in change.environment:
        if name in secret:
            yield (
                f"{path}.environment.{name}: comes from Vault, and this would win over it in plain text: "
                f"change it there (key {name} of {service.name})"
            )

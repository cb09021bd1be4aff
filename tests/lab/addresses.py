"""Who has which address in a lab's network."""

from __future__ import annotations

import ipaddress

EDGE, REGISTRY, PEBBLE, DOCKER_COM, SMTP, S3 = 2, 3, 4, 6, 7, 8
FIRST_HOST = 11


def address(subnet: str, number: int) -> str:
    """The address with that number, e.g. of the edge."""
    return str(ipaddress.ip_network(subnet, strict=False)[number])


def free_address(subnet: str, taken: set[str]) -> str:
    """The first address for a host that no other host has."""
    return next(found for number in range(FIRST_HOST, 255) if (found := address(subnet, number)) not in taken)


def resolver(host: str) -> str:
    """Who answers a host's questions for names: the edge of its network."""
    return address(f"{host}/24", EDGE)

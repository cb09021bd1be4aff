"""Conflicts of settings with the catalogue: needs, networks, ports, domains, guards."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, ip_network

from tasks.model import limits, objects, public_paths
from tasks.model.catalogue import CORE, Describe, Service, domains
from tasks.model.load import load
from tasks.model.stack import Stack


def mistakes(stack: Stack, every: Mapping[str, Describe]) -> Iterator[str]:
    """What the chosen services, with their overrides, do not allow. Raises Undeclared."""
    services = load(stack, every)
    names = {service.name for service in services}
    if CORE not in stack.networks:
        yield f"networks: {CORE!r} is missing, where Caddy, the databases and Vault are"
    for service in services:
        for need in service.needs:
            if need not in names and not (need == "vault" and stack.vault_address):
                yield f"services: {service.name!r} needs {need!r}, which is not in the list"
        for container in service.containers:
            for network in container.networks:
                if network not in stack.bridges and network != CORE:
                    yield (
                        f"overrides.{service.name}.networks: {network!r} is not in networks "
                        f"({', '.join(stack.networks)})"
                    )
        yield from limits.mistakes(stack, service, every[service.name])
        change = stack.override(service.name)
        for setting in () if service.routes else ("domain", "port", "guard", "allow_from", "public"):
            if getattr(change, setting) not in (None, ()):
                yield f"overrides.{service.name}.{setting}: {service.name!r} has no domain"
    yield from _duplicates(stack, services)
    yield from _guards(services)
    yield from _opened(stack, services)
    yield from _visitors(stack)
    yield from _open_ports(stack, services)
    yield from _guests(stack)
    yield from objects.mistakes(stack, every)


# Caddy's own: the web's, its API's, its health check's.
_PROXY_PORTS = (80, 443, 2019, 2020)


def _published(services: tuple[Service, ...]) -> dict[str | int, str]:
    """Ports of the host that are no route's → the service whose they are."""
    others = [(service, port) for service in services for item in service.containers for port in item.ports]
    taken: dict[str | int, str] = {
        int(port.split(":")[-2]): item.name for item, port in others if item.phase != "proxy"
    }
    return {**dict.fromkeys(_PROXY_PORTS, "caddy"), **taken}


def _duplicates(stack: Stack, services: tuple[Service, ...]) -> Iterator[str]:
    owners = _published(services)
    # The one with overrides comes last, so that the line names the setting that made the conflict.
    for service in sorted(services, key=lambda item: item.name in stack.overrides):
        for route in service.routes:
            taken: list[tuple[str, str | int]] = [("domain", name) for name in domains(stack, route)]
            taken += [("port", route.loopback)] if route.loopback else []
            for kind, value in taken:
                if value in owners:
                    yield f"overrides.{service.name}.{kind}: {value} is already {owners[value]}'s"
                owners.setdefault(value, service.name)


def _guards(services: tuple[Service, ...]) -> Iterator[str]:
    validator = any(service.name == "vault-auth-validator" for service in services)
    for service in services:
        guarded = any(route.guard for route in service.routes)
        if service.name == "vault-auth-validator":
            if guarded:
                yield "overrides.vault-auth-validator.guard: people sign in there, so it has to be open"
            if any(route.domain for route in service.routes):
                yield "overrides.vault-auth-validator.domain: people sign in at api.<zone>, in every zone"
        elif guarded and not validator:
            yield f"overrides.{service.name}.guard: needs 'vault-auth-validator' in services"


def _opened(stack: Stack, services: tuple[Service, ...]) -> Iterator[str]:
    """Nobody could see whether the rest is closed."""
    for service in services:
        for index, path in enumerate(stack.override(service.name).public):
            for route in service.routes:
                held = public_paths.expression(public_paths.named((path,)), languages=route.languages)
                if re.match(held, route.check):
                    yield (
                        f"overrides.{service.name}.public.{index}: {path!r} holds {route.check}, by which a run sees that the "
                        "rest is closed: name less"
                    )


def _visitors(stack: Stack) -> Iterator[str]:
    """Containers, and through Docker's proxy this host and all of IPv6, come from a network of containers."""
    for name, change in stack.overrides.items():
        for index, text in enumerate(change.allow_from or ()):
            for pool in stack.network_pools:
                if IPv4Network(text).overlaps(IPv4Network(pool)):
                    yield (
                        f"overrides.{name}.allow_from.{index}: {text} holds addresses of {pool} (network_pools), from "
                        "where everybody seems to come who comes over IPv6: name less of it, or other network_pools"
                    )


def _open_ports(stack: Stack, services: tuple[Service, ...]) -> Iterator[str]:
    """A port that is open to everybody already, or one of ours that listens on loopback; ranges may hold them."""
    ours = [(item.name, port) for item in services for each in item.containers for port in each.ports]
    for index, opened in enumerate(stack.open_ports):
        path = f"open_ports.{index}"
        if opened in stack.open_ports[:index]:
            yield f"{path}: {opened.protocol} {opened.port}".rstrip() + " is listed twice"
        for service, text in sorted(ours):
            port, _, protocol = text.partition("/")
            number = int(port.split(":")[-2])
            if (opened.protocol, opened.port) != (protocol or "tcp", str(number)):
                continue
            if port.startswith("127.0.0.1:"):
                yield f"{path}: {number} is {_owner(number, service, services)}'s, on 127.0.0.1 alone: nothing would open"
            else:
                yield f"{path}: {opened.protocol} {number} is {service}'s and open to everybody: leave it out"


def _guests(stack: Stack) -> Iterator[str]:
    for index, guest in enumerate(stack.guests):
        found = ip_network(guest)
        for pool in map(IPv4Network, stack.network_pools):
            if isinstance(found, IPv4Network) and found.overlaps(pool):
                yield f"guests.{index}: {guest} lies in {pool} of network_pools, where containers of ours are: nobody reaches them past Caddy"


def _owner(port: int, service: str, services: tuple[Service, ...]) -> str:
    routes = {route.loopback: item.name for item in services for route in item.routes}
    return routes.get(port, service)

"""load: Stack → the services that an inventory runs, from what their files describe."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from tasks.model import policy
from tasks.model.catalogue import COMMON, CORE, Container, Describe, Service
from tasks.model.overrides import overridden
from tasks.model.sizing import sized
from tasks.model.spread import spread, spreads
from tasks.model.stack import LOCAL, Stack
from tasks.model.start_order import in_order

# Comes with the setting of that name, and is listed nowhere.
BACKUP = "backup"


def load(stack: Stack, every: Mapping[str, Describe]) -> tuple[Service, ...]:
    """The enabled services in start order, overrides applied, routes with their domains. Raises Undeclared.

    every: name → description of each service there is.
    """
    names = (*stack.services, *((BACKUP,) if stack.backup else ()))
    chosen = [overridden(stack, sized(stack.profile, every[name](stack))) for name in names]
    placed = [*map(partial(_apart, nodes=stack.apps), chosen)] if stack.proxies else chosen
    return tuple(in_order(policy.declared(policy.with_loopback_ports(placed))))


def _apart(service: Service, nodes: int) -> Service:
    """The same in a cluster. nodes: those for what keeps nothing, and may be on any of them as tasks of the swarm. Of all else Docker can neither rename what is in a network of several nodes nor take its name there away from it
    (moby 26.1: "already exists"), and who looks for that name is to find what is healthy: so a node's containers have a network of
    their own, and are taken into the common ones when they are well. A proxy is there for what others have.
    """
    if nodes and spreads(service):
        return spread(service, nodes)
    return replace(service, containers=tuple(_own(item, service.phase) for item in service.containers))


def _own(container: Container, phase: str) -> Container:
    """Docker takes what is in such a network for stopped by hand where it was killed itself, and starts it again only if that is of no matter."""
    container = replace(container, restart="always")
    if phase == "proxy":
        return container
    if CORE not in container.networks:
        return container
    shared = tuple(name for name in container.networks if name in COMMON)
    own = (LOCAL, *(name for name in container.networks if name not in COMMON))
    return replace(container, networks=own, shared=() if container.job else shared)

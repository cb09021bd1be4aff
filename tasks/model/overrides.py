"""overridden: what an inventory changes of a service, applied to its description."""

from collections.abc import Iterator
from dataclasses import replace

from tasks.model import forks, pins, public_paths
from tasks.model.catalogue import Container, Route, Service
from tasks.model.stack import Override, Stack


def overridden(stack: Stack, service: Service) -> Service:
    """The service as the inventory wants it."""
    containers = tuple(_container(stack, service, container) for container in service.containers)
    changed = replace(service, containers=containers, routes=tuple(_routes(stack, service)))
    return pins.pinned(stack.pins, changed)


def _container(stack: Stack, service: Service, container: Container) -> Container:
    """Image and environment are every container's that runs the main one's image; the rest is the main one's."""
    change, main = stack.override(service.name), service.main
    environment = {**container.environment, "TZ": stack.timezone}
    if container.image != main.image:
        return replace(container, environment=environment)
    program = replace(_source(stack, service, container), environment={**environment, **change.environment})
    return _resized(program, change) if container is main else program


def _source(stack: Stack, service: Service, container: Container) -> Container:
    """The container with the image that the inventory names, or with one that is built from the service's fork."""
    change, fork = stack.override(service.name), stack.forks.get(service.name)
    if change.build and fork:
        image = forks.reference(service.name, change.build)
        # No registry may answer for it: the name could be anybody's there.
        extra = {**container.extra, "pull_policy": "never"}
        return replace(container, image=image, build="", fork=fork.dockerfile, extra=extra, architectures=())
    if container.base:  # built on top of it
        return replace(container, base=change.image or container.base)
    # What another image exists for is its builder's to know.
    return replace(container, image=change.image, build="", architectures=()) if change.image else container


def _resized(container: Container, change: Override) -> Container:
    limits = {name: getattr(change, name) for name in ("memory_mb", "cpus", "disk_gb")}
    size = replace(container.size, **{name: limit for name, limit in limits.items() if limit is not None})
    health = replace(container.health, seconds=change.health_seconds or container.health.seconds)
    return replace(container, size=size, health=health, networks=change.networks or container.networks)


def _routes(stack: Stack, service: Service) -> Iterator[Route]:
    """Who may come is every route's; domain and port are the first one's."""
    change = stack.override(service.name)
    guarded = [
        replace(
            item,
            guard=item.guard if change.guard is None else change.guard,
            allow_from=change.allow_from or item.allow_from,
            public=(*item.public, *public_paths.named(change.public)),
        )
        for item in service.routes
    ]
    for first in guarded[:1]:
        yield replace(first, domain=change.domain or first.domain, loopback=change.port or first.loopback)
    yield from guarded[1:]

"""Spread: which services of a cluster are a swarm's tasks, on its nodes for them, and how many each is. Pure.

What keeps something is where that is, and a swarm has no words for an address of its host's own. Nor has it a moment between the end of one
container and the start of the next one, in which a database's role gets its new password: whose role that is stays with Compose, too.
"""

from dataclasses import replace

from tasks.model.catalogue import COMMON, Container, Service

# Before the names of images that are built on the nodes: a swarm's node asks a registry first for each that has no digest, and whoever
# owns that name there would decide what runs. Nobody can own this one (RFC 6761).
NOWHERE = "smarteros.invalid"
# One that goes away with its node leaves another one; more are memory.
_ENOUGH = 2


def task(container: Container) -> bool:
    """Whether a swarm could run it. What has an address of its host's own, is in another's network or must not be swapped out stays with
    Compose: a swarm has no words for these. A job is run once for each deploy, by the deploy.
    """
    return not (container.ports or container.joins or container.job) and container.swaps


def spreads(service: Service) -> bool:
    """Whether it may be on any of these nodes, on several at once."""
    return (
        (service.phase, service.role) == ("services", "apps")
        and not (service.databases or service.redis)
        and all(map(_moves, service.containers))
    )


def _moves(container: Container) -> bool:
    """fork, extra: what an operator builds or writes himself is where he knows of it."""
    here = (*container.state, *container.binds, container.fork, container.extra)
    return task(container) and bool(container.twice) and not any(here) and {*container.networks} <= {*COMMON}


def spread(service: Service, nodes: int) -> Service:
    """The same as tasks on these nodes; as many as its description says, else one on each of two."""
    return replace(
        service, nodes=nodes, containers=tuple(_several(item, nodes) for item in service.containers)
    )


def _several(container: Container, nodes: int) -> Container:
    count = container.replicas if container.replicas > 1 else min(nodes, _ENOUGH)
    image = f"{NOWHERE}/{container.image}" if container.build else container.image
    return replace(container, replicas=count, image=image)

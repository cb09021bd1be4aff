"""Objects: the names of Docker's objects that are ours, and the mistakes in what ``adopt`` names of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tasks.model.catalogue import Container, Describe, Service, Volume
from tasks.model.folder import Folder
from tasks.model.stack import Stack
from tasks.model.words import suggestion


@dataclass(frozen=True)
class Names:
    """Names of ours, by kind. containers: with the service whose they are; answers: with the networks that they are looked for in;
    volumes, folders: with service and description.
    """

    containers: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    projects: Mapping[str, frozenset[str]] = field(default_factory=dict)
    volumes: Mapping[str, tuple[str, Volume]] = field(default_factory=dict)
    folders: Mapping[str, tuple[str, Folder]] = field(default_factory=dict)

    @property
    def keys(self) -> Iterator[str]:
        """As ``adopt`` writes them."""
        for kind, names in (
            ("container", self.containers),
            ("network", self.networks),
            ("project", self.projects),
            ("volume", self.volumes),
            ("folder", self.folders),
        ):
            yield from (f"{kind}:{name}" for name in names)


def names(services: Iterable[Service], networks: Iterable[str] = ()) -> Names:
    """A container that users reach has other names while it replaces another (tasks/operations/rollout_shell.py)."""
    services = tuple(services)
    return Names(
        containers={name: service.name for service in services for name, _ in _containers(service)},
        answers={
            name: _asked(item, service, services)
            for service in services
            for name, item in _containers(service)
        },
        networks=tuple(networks),
        projects={service.name: frozenset(item.name for item in service.containers) for service in services},
        volumes={
            volume.name: (service.name, volume)
            for service in services
            for item in service.containers
            for volume in item.volumes
            if not volume.reads
        },
        folders={
            folder.path: (service.name, folder)
            for service in services
            for item in service.containers
            for folder in item.folders
        },
    )


def _containers(service: Service) -> Iterator[tuple[str, Container]]:
    routed = {route.container for route in service.routes}
    for item in service.containers:
        yield item.name, item
        if item.name in routed:
            yield replacement(item.name), item
        if item.twice:
            yield second(item.name), item


def _asked(item: Container, service: Service, services: Iterable[Service]) -> frozenset[str]:
    """The networks that it is in, and those of whoever needs its service."""
    needing = (each for other in services if service.name in other.needs for each in other.containers)
    return frozenset(network for each in (item, *needing) for network in each.networks)


def replacement(name: str) -> str:
    """What a container is called while it replaces another, until it is well."""
    return f"{name}-next"


def second(name: str) -> str:
    """What the one is called that runs beside a container while that is replaced."""
    return f"{name}-second"


def mistakes(stack: Stack, every: Mapping[str, Describe]) -> Iterator[str]:
    """What is named has to be of ours, of a service that is listed now or of any other."""
    found = names((describe(stack) for describe in every.values()), stack.bridges)
    # What was a volume of ours may have been adopted with an earlier release.
    ours = (*found.keys, *(f"volume:{folder.was}" for _, folder in found.folders.values() if folder.was))
    for index, entry in enumerate(stack.adopt):
        kind, _, name = entry.partition(":")
        if entry in stack.adopt[:index]:
            yield f"adopt.{index}: {entry!r} is listed twice"
        elif entry not in ours:
            near = suggestion(entry, ours)
            yield f"adopt.{index}: no {kind} of ours is called {name!r}, so it is left alone as it is{near}"

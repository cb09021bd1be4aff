"""Sizing: an inventory's profile makes limits of the services' sizes; what a host has to have is what they take."""

from collections.abc import Iterable
from dataclasses import replace

from tasks.model.catalogue import Service, Size

# Times the services' sizes: limits, storage.
PROFILES = {"minimum": (1.0, 0.25), "recommended": (1.5, 0.6), "production": (3.0, 1.3)}

# The kernel, systemd, sshd, Docker, containerd with a process for each container.
_SYSTEM_MEMORY_MB = 400
_SYSTEM_DISK_GB = 6  # 2 of them for swap
# Phases whose services the others stand on.
_GROUND = ("vault", "data", "proxy")


def sized(profile: str, service: Service) -> Service:
    """The service with the profile's limits and storage."""
    limits, storage = PROFILES[profile]
    containers = (
        replace(
            container,
            size=replace(
                container.size,
                memory_mb=int(container.size.memory_mb * limits),
                cpus=container.size.cpus * limits,
                disk_gb=container.size.disk_gb * storage,
            ),
        )
        for container in service.containers
    )
    return replace(service, containers=tuple(containers))


def demand(services: Iterable[Service]) -> Size:
    """What a host has to have for the services: MB of memory, cores for the largest container, GB of disk.

    Memory is what they take at the same time, and the most of what a job, or a second one of a container that may run
    twice, takes beside them. A limit above what the host has would be none.
    """
    containers = [container for service in services for container in service.containers]
    lasting = sum(item.size.used * item.replicas for item in containers if not item.job)
    passing = max((item.size.used for item in containers if item.job or item.twice), default=0)
    images = {
        item.image: item.size.image_gb for item in sorted(containers, key=lambda item: item.size.image_gb)
    }
    return Size(
        memory_mb=max([lasting + passing, *(item.size.memory_mb for item in containers)]) + _SYSTEM_MEMORY_MB,
        cpus=max((item.size.cpus for item in containers), default=0),
        disk_gb=sum(item.size.disk_gb for item in containers) + sum(images.values()) + _SYSTEM_DISK_GB,
    )


def wider(services: Iterable[Service], cpus: int) -> str:
    """The containers whose limits are above so many cores, which Docker refuses, and the settings that lower them."""
    found = [(service, item) for service in services for item in service.containers if item.size.cpus > cpus]
    lower = [f"overrides.{service.name}.cpus" for service, item in found if item is service.main]
    names = ", ".join(item.name for _, item in found)
    return f"{names}; lowered by {', '.join(lower)}" if lower else names


def fitting(services: Iterable[Service], memory_mb: int) -> tuple[Service, ...]:
    """Those of the services that fit into so much memory: without the largest that no other stands on; none if that is not enough."""
    chosen = tuple(services)
    while chosen and demand(chosen).memory_mb > memory_mb:
        needed = {need for service in chosen for need in service.needs}
        ends = [item for item in chosen if item.phase not in _GROUND and item.name not in needed]
        if not ends:
            return ()
        largest = max(ends, key=_memory)
        chosen = tuple(item for item in chosen if item is not largest)
    return chosen


def _memory(service: Service) -> int:
    return sum(item.size.used * item.replicas for item in service.containers if not item.job)

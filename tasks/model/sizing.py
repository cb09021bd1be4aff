"""Sizing: an inventory's profile makes limits of the services' sizes, and of those what a host has to have."""

import math
from collections.abc import Iterable
from dataclasses import replace

from tasks.model.catalogue import Service, Size

# Times the architecture's estimates: limits, storage. They fit its hosts: the four core services with what they
# need into 4 GB and 20 GB of disk, everything into 8 GB and 50 GB, everything into 16 GB and 100 GB.
PROFILES = {"minimum": (1.0, 0.35), "recommended": (1.5, 0.75), "production": (3.0, 1.5)}

# A limit is what a container may take at its worst; all services together were seen to use less than half.
_OVERCOMMIT = 2
_SYSTEM_MEMORY_MB = 256
_SYSTEM_DISK_GB = 4


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
    """What a host has to have for the services: MB of memory, cores for the largest container, GB of disk."""
    containers = [container for service in services for container in service.containers]
    lasting = sum(item.size.memory_mb * item.replicas for item in containers if not item.job)
    return Size(
        memory_mb=math.ceil(lasting / _OVERCOMMIT) + _SYSTEM_MEMORY_MB,
        cpus=max(item.size.cpus for item in containers),
        disk_gb=sum(item.size.disk_gb for item in containers) + _SYSTEM_DISK_GB,
    )

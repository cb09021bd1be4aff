"""Lost: volumes that the last deploy has left on the host, and that are gone with what they held. Their services do not begin again with empty
ones, which nobody would see.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress

from tasks.facts import DockerFact, Status
from tasks.model.catalogue import Service
from tasks.model.targets import target
from tasks.rendering import restore_files
from tasks.rendering.render import SERVICE_LABEL
from tasks.run import Refused, host, known, services, stack


def refusals() -> Iterator[str]:
    """A line for each service that has lost one. That Docker does not answer is said elsewhere, and of Vault's by tasks/vault.py."""
    with suppress(Refused):
        docker = known(DockerFact)
        for service in services():
            if names := _lost(service, docker.noted, docker.volumes):
                yield f"{service.name}: {', '.join(names)}: {_said(service, names)}"


def of(found: Status) -> dict[str, str]:
    """Container → the same of its own volumes, where status has looked."""
    lost = ((service, _lost(service, found.networks.noted, found.volumes)) for service in services())
    return {
        item.name: f"{', '.join(mine)}: {_said(service, names)}"
        for service, names in lost
        for item in service.containers
        if (mine := [each.name for each in item.volumes if each.name in names])
    }


def _said(service: Service, names: list[str]) -> str:
    return (
        f"there after the last deploy of {host().name}, and gone with what it held: bring it "
        f"back from a copy of yours, or begin with an empty one ({_made(service, names)}){_restored(service)}"
    )


def _lost(service: Service, noted: Collection[str], there: Collection[str]) -> list[str]:
    volumes = (each for item in service.containers for each in item.volumes if each.backup and not each.reads)
    names = dict.fromkeys(each.name for each in volumes if each.backup != "raft")
    return [name for name in names if name in noted and name not in there]


def _made(service: Service, names: list[str]) -> str:
    label = f"docker volume create --label {SERVICE_LABEL}={service.name}"
    return "; ".join(f"{label} {name}" for name in names)


def _restored(service: Service) -> str:
    """With a database server, all that have theirs there come back from it."""
    if stack().backup is None:
        return ""
    server = any(each.backup == "postgres" for item in service.containers for each in item.volumes)
    alone = [item.name for item in restore_files.restorable(stack(), services())]
    names = alone if server else [name for name in alone if name == service.name]
    commands = " and ".join(target(f"restore SERVICE={name}") for name in names)
    return f", deploy, and then {commands} brings what the backup has" if names else ""

"""Adoption: what carries a name of ours and was there before is refused, or taken over where ``adopt`` names it.

Volumes, networks, folders and projects are used as they are, and noted, so that they are ours afterwards. A container makes room
just before ours starts: it is stopped, renamed and kept; put back when ours does not come up.
"""

from collections.abc import Iterator
from shlex import quote

from pyinfra.api import StringCommand

from tasks.facts import DockerFact, DockerState, MachineFact
from tasks.facts.kept import MARK, SHELL
from tasks.facts.objects import ADOPTED, RootsFact
from tasks.model.catalogue import Service
from tasks.model.objects import names
from tasks.operations import namesakes
from tasks.operations.namesakes import Namesake
from tasks.run import Commands, host, known, operation, services, stack


def _found() -> list[Namesake]:
    """All of them but the proxy's, where the takeover sees to it."""
    machine = known(MachineFact)
    found = namesakes.found(
        known(DockerFact),
        names(services(), stack().bridges),
        machine.before.entries,
        deployed=machine.deployed,
    )
    return _beside_takeover(found)


def _beside_takeover(found: list[Namesake]) -> list[Namesake]:
    proxies = {item.main.name for item in services() if item.phase == "proxy" and stack().takeover}
    return [item for item in found if item.kind != "container" or item.name not in proxies]


def refusals() -> Iterator[str]:
    """What is in the way, with both ways out."""
    yield from (item.line for item in _found() if item.against or item.key not in stack().adopt)
    yield from _roots()


def answering(docker: DockerState) -> Iterator[str]:
    """The same of containers alone, where status has looked."""
    found = _beside_takeover([*namesakes.containers(docker, names(services(), stack().bridges))])
    yield from (item.line for item in found if item.against or item.key not in stack().adopt)


def _roots() -> Iterator[str]:
    """Adopted volumes in which the container could not write: it would be found by its health check alone, minutes later."""
    adopted = {item.name for item in _adopted() if item.kind == "volume"}
    users = {
        volume.name: (service, item, volume.path)
        for service in services()
        for item in service.containers
        for volume in item.volumes
        if item.user and volume.name in adopted
    }
    for name in sorted(known(RootsFact, *sorted(users)) if users else ()):
        service, item, path = users[name]
        yield (
            f"volume {name}: what it holds is root's, and {service.name} runs as {item.user} and could not write there: give it to "
            f"that user (docker run --rm --user 0 --entrypoint chown --volume {name}:{path} {item.image} -R {item.user} {path})"
        )


def warnings() -> Iterator[str]:
    """What the run takes over, and what that means."""
    for item in _adopted():
        yield f"adopt: {item.kind} {item.name} ({item.about}): {item.means}"


def accepted() -> frozenset[str]:
    """Containers that may hold ports of ours until ours starts."""
    return frozenset(item.name for item in _adopted() if item.kind == "container")


def _adopted() -> list[Namesake]:
    return [item for item in _found() if not item.against and item.key in stack().adopt]


@operation
def noted() -> Commands:
    """What is used as it is, is ours from now on."""
    keys = [item.key for item in _adopted() if item.kind not in ("container", "folder")]
    for item in _adopted():
        if item.kind == "folder":
            # Upstream's installer lets everybody write there, and its projects' secrets lie in it.
            shut = f"set -e\n{SHELL}shut {quote(item.name)} 700"
            yield StringCommand(f"{shut}\n: >{quote(f'{item.name}/{MARK}')}")
    if keys:
        yield StringCommand(
            f"umask 022 && mkdir -p {ADOPTED.rpartition('/')[0]} && printf '%s\\n' {' '.join(map(quote, keys))} >>{ADOPTED} && sync {ADOPTED}"
        )


def carried(service: Service) -> dict[str, str]:
    """Folder → the volume of an earlier release whose content has to come there."""
    wanted = names((service,)).folders.values()
    if not wanted:
        return {}
    docker, machine = known(DockerFact), known(MachineFact)
    before = machine.deployed or bool(docker.containers)
    found = {
        folder.path: folder.was
        for _, folder in wanted
        if folder.path not in machine.before.homes
        and namesakes.ours(docker, folder.was, service.name, known=before)
    }
    for path, volume in found.items():
        host().log(
            f"{path}: what the volume {volume} holds comes there; the volume is kept (docker volume rm {volume} removes it)"
        )
    return found


def making_room(service: Service) -> dict[str, str] | None:
    """Containers whose names the service needs → what they are called afterwards; None where none is adopted."""
    wanted = names((service,)).containers
    if not any(f"container:{name}" in stack().adopt for name in wanted):
        return None
    others = known(DockerFact).others
    taken = [item.name for item in others]
    moved = {item.name: namesakes.aside(item.name, taken) for item in others if item.name in wanted}
    for name, later in moved.items():
        host().log(f"{name}: a container of that name is not ours: stopped, and kept as {later}")
    return moved

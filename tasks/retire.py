"""Retire: what a service leaves on the host when it is no longer listed. Its data stay, and so it can come back.

After the proxy, which has dropped the routes and ports by then, so that nobody is led to what stops here.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from shlex import quote

from pyinfra.api import StringCommand

from tasks.connection import grouped
from tasks.connection.drafts import note
from tasks.facts import DockerFact, DockerState, LinksFact
from tasks.model.catalogue import Service
from tasks.model.effects import Gone
from tasks.model.objects import replacement, second
from tasks.model.start_order import in_order
from tasks.operations import rotated, swarm_services
from tasks.operations.described import links
from tasks.rendering import render
from tasks.run import Commands, host, known, operation, services, stack
from tasks.services import every


@dataclass(frozen=True)
class Leftover:
    """What is on the host of one service. ``listed``: only these containers of it are no longer declared. moved: it runs as tasks of the swarm.
    tasks: services of the swarm.
    """

    service: str
    listed: bool = False
    moved: bool = False
    tasks: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    env_file: bool = False
    links: tuple[str, ...] = ()


def run() -> None:
    """The phase. In a cluster who looks after what its swarm runs looks for what is left of that, too."""
    if grouped.cluster() and not grouped.elsewhere():
        unplaced(name="Retire | what the swarm runs of services that are not listed")
    retired(name="Retire | services that are not listed; their volumes, databases and secrets stay")


@operation
def retired() -> Commands:
    """One command for each service that has left something, those that need others before the others."""
    found = leftovers(services(), known(DockerFact), known(LinksFact) - set(links()))
    described = _described(item.service for item in found)
    for item in found:
        host().log(said(item, described.get(item.service), stack().vault_mount))
        for name in item.containers:
            note(Gone(item.service, name))
    rank = {service.name: number for number, service in enumerate(in_order(described.values()))}
    for item in sorted(found, key=lambda item: -rank.get(item.service, len(rank))):
        yield StringCommand(removal(item))


@operation
def unplaced() -> Commands:
    """Services of the swarm that are no service's, or one's that Compose runs by now."""
    wanted = {item.name for service in services() if service.nodes for item in service.containers}
    found = swarm_services.left(wanted)
    described = _described(found)
    for name, tasks in found.items():
        left = Leftover(name, listed=name in {service.name for service in services()}, tasks=tuple(tasks))
        host().log(said(left, described.get(name), stack().vault_mount))
    note(*(Gone(name, task) for name, tasks in found.items() for task in tasks))
    yield from swarm_services.removed(found)


_ONE_OFF = re.compile(r"-run-[0-9a-f]{12}$")


def leftovers(enabled: Iterable[Service], docker: DockerState, links: Iterable[str]) -> tuple[Leftover, ...]:
    """What is on the host and not described, by service. Pure. An env file without our digest is not ours."""
    enabled = tuple(enabled)
    moved = {service.name for service in enabled if service.nodes}
    enabled = tuple(service for service in enabled if not service.nodes)
    declared = {service.name: {item.name for item in service.containers} for service in enabled}
    # What replaces one that is gone, or stands in for one, is its service's rollout's.
    waiting = {
        replacement(name) for ours in declared.values() for name in ours if name not in docker.containers
    } | {second(item.name) for service in enabled for item in service.containers if item.twice}
    stray = [
        item
        for item in docker.containers.values()
        if item.name not in declared.get(item.service, ())
        # What an operator runs by hand (docker compose run) goes with its service only.
        and not (item.service in declared and _ONE_OFF.search(item.name))
        and item.name not in waiting
    ]
    names = {
        *(item.service for item in stray),
        *(name for name, digest in docker.env_digests.items() if digest and name not in declared),
        *(name for name in map(_owner, links) if name and name not in declared),
    }
    return tuple(
        Leftover(
            name,
            listed=name in declared,
            moved=name in moved,
            containers=tuple(sorted(item.name for item in stray if item.service == name)),
            env_file=name not in declared and bool(docker.env_digests.get(name)),
            links=tuple(sorted(link for link in links if _owner(link) == name and name not in declared)),
        )
        for name in sorted(names)
    )


_OWNED = (
    ("/root/dkcompose", "-deploy.yaml"),
    ("/root/env-templates", ".env.example"),
    ("/root", "-smarter-config.sh"),
)


def _owner(link: str) -> str:
    """The service whose link of ours that path is; empty for any other."""
    path = PurePosixPath(link)
    if link == "/root/Caddyfile":
        return "caddy"
    ends = (end for folder, end in _OWNED if str(path.parent) == folder and path.name.endswith(end))
    return next((path.name.removesuffix(end) for end in ends), "")


def _described(names: Iterable[str]) -> dict[str, Service]:
    """The services of these names that the catalogue still has."""
    describe = every()
    return {name: describe[name](stack()) for name in names if name in describe}


def said(item: Leftover, service: Service | None, mount: str) -> str:
    """What goes and what is kept, in one line."""
    gone = f"containers {', '.join(item.containers)}" if item.containers else "its last files"
    if item.moved:
        return f"{item.service}: tasks of the swarm answer for it now, removed: {gone}"
    if item.tasks:
        gone = f"tasks of the swarm {', '.join(item.tasks)}"
        if item.listed:
            return f"{item.service}: Compose runs it now, removed: {gone}"
    if item.listed:
        left = all(name.endswith(replacement("")) for name in item.containers)
        why = "left over from its replacement" if left else "no longer part of it"
        return f"{item.service}: {why}, removed: {gone}; kept: volumes"
    kept = "; ".join(_kept(item.service, service, mount))
    return f"{item.service}: not listed, removed: {gone}; kept: {kept}; list it again to have it back"


def _kept(name: str, service: Service | None, mount: str) -> Iterator[str]:
    if service is None:
        yield f"its volumes and databases, whatever Vault holds in {mount}/{name}"
        return
    volumes = sorted(
        {volume.name for item in service.containers for volume in item.volumes if not volume.reads}
    )
    if volumes:
        yield f"volumes {', '.join(volumes)}"
    if folders := sorted({folder.path for item in service.containers for folder in item.folders}):
        yield f"folders {', '.join(folders)}"
    if service.databases:
        yield f"databases of {', '.join(database.name for database in service.databases)}"
    if service.secrets:
        yield f"secrets in Vault ({mount}/{name}) with its policy and AppRole"
    yield "its images"


def removal(item: Leftover) -> str:
    """Shell: each container gets its own stop time. Volumes are never removed. Run twice it does no more."""
    lines = ["set -e"]
    if item.containers:
        names = " ".join(map(quote, item.containers))
        lines += [f"docker stop {names} >/dev/null", f"docker rm {names} >/dev/null"]
    if item.env_file:
        files = (f"{render.SECRETS}/{item.service}.env", rotated.path(item.service))
        lines.append(f"rm -f {' '.join(map(quote, files))}")
    if item.links:
        lines.append(f"rm -f {' '.join(map(quote, item.links))}")
    return "\n".join(lines)

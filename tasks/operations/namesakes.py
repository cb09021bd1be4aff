"""Namesakes: what of Docker's carries a name of ours and is not ours, what that means, and the ways out. Pure.

Ours are containers and networks with a label of ours, volumes with one, with a container of ours on them, or, of earlier
releases, with Compose's labels on a host that was deployed, and all that was adopted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tasks.facts import DockerState, NetworkState, Other
from tasks.model.objects import Names


@dataclass(frozen=True)
class Namesake:
    """kind, name: as in ``adopt``. about: what is known of it. out: how to do without. means: what adopting it does,
    or, where it cannot be done, against: why.
    """

    kind: str
    name: str
    about: str
    out: str
    means: str = ""
    against: str = ""

    @property
    def key(self) -> str:
        """As ``adopt`` writes it."""
        return f"{self.kind}:{self.name}"

    @property
    def line(self) -> str:
        """What refuses it, unless it is adopted."""
        start = f"{self.kind} {self.name}: is not ours ({self.about})"
        if self.against:
            return f"{start}, and cannot be adopted: {self.against}: {self.out}"
        return f'{start}: {self.out}, or set adopt = ["{self.key}"]: {self.means}'


def found(
    docker: DockerState, names: Names, entries: Iterable[str] = (), *, deployed: bool
) -> list[Namesake]:
    """All of them. entries: what is in folders that are not ours. deployed: whether a run of ours has been there before."""
    known = deployed or bool(docker.containers)
    return [
        *containers(docker, names),
        *_networks(docker, names),
        *_projects(docker, names),
        *_volumes(docker, names, known=known),
        *_folders(docker, names, tuple(entries), known=known),
    ]


def ours(docker: DockerState, name: str, service: str, *, known: bool) -> bool:
    """Whether the volume is there and the service's. known: whether a run of ours has been there before."""
    volume = docker.volumes.get(name)
    if volume is None:
        return False
    by_compose = known and (volume.project, volume.part) == (service, name)
    return bool(volume.service) or name in docker.used or f"volume:{name}" in docker.adopted or by_compose


def aside(name: str, taken: Iterable[str]) -> str:
    """What a container of that name is called once ours has its name."""
    first = f"{name}-before-smarteros"
    others = (f"{first}-{number}" for number in range(2, 1000))
    return next(item for item in (first, *others) if item not in set(taken))


def containers(docker: DockerState, names: Names) -> Iterator[Namesake]:
    """Those that are containers, by their own name or by another that they answer to."""
    yield from _aliases(docker, names)
    taken = [item.name for item in docker.others]
    for item in docker.others:
        if item.name not in names.containers:
            continue
        against = ""
        if item.temporary and item.running:
            against = "it was started with --rm and would be gone once stopped"
        elif item.part in names.projects.get(item.project, ()):
            against = f"it is the service {item.part} of a Compose project called {item.project}, as ours is, and Compose would remove it"
        later = aside(item.name, taken)
        yield Namesake(
            "container",
            item.name,
            _about(item),
            f"rename it (docker rename {item.name} old-{item.name})"
            if not against
            else f"stop it, or start it again under another name{_other_project(item)}",
            f"it is stopped just before ours starts, and kept as {later}",
            against,
        )


def _aliases(docker: DockerState, names: Names) -> Iterator[Namesake]:
    """What answers to a name of ours, beside its own, in the same network: Docker sends each of both a part (moby#41961)."""
    for item in docker.others:
        shared = [each for each in item.aliases if each[0] in names.answers.get(each[1], ())]
        if shared and item.running and item.name not in names.containers:
            leave = "; ".join(f"docker network disconnect {network} {item.name}" for network in dict(shared))
            out = f"take it out of there ({leave}), or start it again under another alias, hostname or Compose service"
            said = ", ".join(f"{alias} on {network}" for network, alias in shared)
            against = f"it answers to {said}, where ours is looked for, and would get a part of what is meant for that"
            yield Namesake("container", item.name, _about(item), out, against=against)


def _other_project(item: Other) -> str:
    return f" (docker compose -p old-{item.project} up -d)" if item.project else ""


def _about(item: Other) -> str:
    return f"{item.image}, since {item.since}, {item.status}"


def _networks(docker: DockerState, names: Names) -> Iterator[Namesake]:
    joined = {network for item in docker.containers.values() for network in item.networks}
    for name in names.networks:
        network = docker.networks.get(name)
        if network is None or network.ours:
            continue
        unfit = _unfit(network)
        if not unfit and (f"network:{name}" in docker.adopted or name in joined):
            continue
        members = [item.name for item in docker.others if name in item.networks]
        kind = f"{network.driver}{', internal' if network.internal else ''}"
        leave = "; ".join(f"docker network disconnect {name} {member}" for member in members)
        yield Namesake(
            "network",
            name,
            f"{kind}; {_on_it(members)}",
            f"take its containers out and remove it ({leave}; docker network rm {name})"
            if members
            else f"remove it (docker network rm {name})",
            "it is used as it is, and its containers stay on it beside ours",
            unfit,
        )


def _unfit(network: NetworkState) -> str:
    if network.driver != "bridge":
        return f"it is no bridge but of the driver {network.driver}"
    return "it is cut off from the world (internal)" if network.internal else ""


def _on_it(members: Iterable[str]) -> str:
    text = ", ".join(members)
    return f"on it: {text}" if text else "no container is on it"


def _projects(docker: DockerState, names: Names) -> Iterator[Namesake]:
    ours = {item.service for item in docker.containers.values()}
    for name, parts in names.projects.items():
        members = [
            item for item in docker.others if item.project == name and item.name not in names.containers
        ]
        clashing = sorted(item.name for item in members if item.part in parts)
        if (
            not members
            or (name in ours and not clashing)
            or (not clashing and f"project:{name}" in docker.adopted)
        ):
            continue
        yield Namesake(
            "project",
            name,
            f"a Compose project of {', '.join(f'{item.name}: {_about(item)}' for item in members)}",
            f"end it (docker compose -p {name} down, which keeps its volumes), or start it again under another name "
            f"(docker compose -p old-{name} up -d)",
            f"ours joins it, its containers stay as they are, and `docker compose -p {name} down` stops ours, too",
            f"Compose would take {', '.join(clashing)} for ours and remove it" if clashing else "",
        )


def _volumes(docker: DockerState, names: Names, *, known: bool) -> Iterator[Namesake]:
    for name, (service, described) in names.volumes.items():
        if name not in docker.volumes or ours(docker, name, service, known=known):
            continue
        users = [item for item in docker.others if name in item.volumes]
        working = [item.name for item in users if item.running and item.name not in names.containers]
        stop = f"stop that (docker stop {' '.join(working)}) and adopt it, or " if working else ""
        yield Namesake(
            "volume",
            name,
            f"used by {', '.join(f'{item.name}: {_about(item)}' for item in users)}"
            if users
            else "no container uses it",
            f"{stop}copy what is in it and remove it (docker volume rm {name})",
            f"{service} uses it: {described.adopted}",
            f"{', '.join(working)} would write to it, too" if working else "",
        )


def _folders(
    docker: DockerState, names: Names, entries: tuple[str, ...], *, known: bool
) -> Iterator[Namesake]:
    for path, (service, described) in names.folders.items():
        before = bool(described.was) and ours(docker, described.was, service, known=known)
        strange = [
            name
            for folder, _, name in (entry.partition(" ") for entry in entries)
            if folder == path and not (before and name in described.made)
        ]
        if not strange:
            continue
        working = [item.name for item in docker.others if item.running and path in item.binds]
        stop = f"stop that (docker stop {' '.join(working)}) and " if working else ""
        against = f"{', '.join(working)} would write to it, too" if working else ""
        if before and not against:
            against = f"what the volume {described.was} holds has to come there"
        yield Namesake(
            "folder",
            path,
            f"it holds {', '.join(strange[:5])}{' and more' if len(strange) > 5 else ''}",
            f"{stop}move it away (mv {path} {path}.before)",
            f"{service} uses it: {described.adopted}",
            against,
        )

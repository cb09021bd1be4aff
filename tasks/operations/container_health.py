"""Container health: how each container of ours is, why it is not well and what to do; and the table of that. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from tasks.facts import Standing, Status
from tasks.facts.unsealer import NAME
from tasks.facts.usage import Usage
from tasks.model.catalogue import Container, Service
from tasks.model.objects import replacement
from tasks.model.targets import target
from tasks.model.words import ago, stands
from tasks.operations import jobs

_REFUSED = "a deploy makes it, once the volumes are there that are said to be gone"
_UNASKED = "docker exec starts nothing there, as is said below"
_CUT = "its restore was cut short, and is ended first, as is said below"


@dataclass(frozen=True)
class Line:
    """One container's line of the table; ``todo`` is what to do about ``why``, and both are empty when it is well."""

    service: str
    container: str
    state: str
    since: str = ""
    why: str = ""
    todo: str = ""


def judged(
    chosen: Iterable[Service], found: Status, lost: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Line]:
    """A line for each container of the services, but for one-offs and a swarm's tasks (swarm_standing.py), which have lines of their own. lost: container → what is said of its
    volumes that are gone (lost.py), for which a deploy is refused. Pure.
    """
    for service in (item for item in chosen if item.phase != "backup" and not item.nodes):
        for container in service.containers:
            standing = found.containers.get(container.name)
            if standing is None and _done(service, container, found):
                yield Line(service.name, container.name, "done")
                continue
            later = found.containers.get(replacement(container.name))
            line = _line(service, container, standing, later)
            if service.phase == "vault" and not line.why:
                line = _vault(line, found)
            if line.state == "missing" and lost:
                line = replace(line, todo=lost.get(container.name, _REFUSED))
            if line.why and service.name in found.backup.cut:
                line = replace(line, todo=_CUT)
            yield line


def _done(service: Service, container: Container, found: Status) -> bool:
    """Whether it is a job that somebody has cleared away, and what it has done is there."""
    noted = {f"{database.name} {jobs.noted_as(container.name)}" for database in service.databases}
    return container.job and bool(noted & found.done) and jobs.whole(container, found.volumes)


def _line(service: Service, container: Container, standing: Standing | None, later: Standing | None) -> Line:
    name = container.name
    if standing is None and later:
        return _replacing(service, name, later)
    if standing is None:
        return Line(service.name, name, "missing", "", "does not exist", f"{target('deploy')} makes it")
    if container.job:
        return _job(Line(service.name, name, standing.status, ago(standing.since)), standing)
    if apart := _apart(container, standing):
        return replace(
            _standing(service, name, standing), why=apart, todo=f"{target('deploy')} makes it anew"
        )
    return _standing(service, name, standing)


def _apart(container: Container, standing: Standing) -> str:
    """Of one that runs: that it is not in its networks, which its health check need not notice; empty where it is."""
    there = standing.usage.networks
    if (
        there is None
        or standing.status != "running"
        or not (lacks := sorted({*container.networks, *container.shared} - {*there}))
    ):
        return ""
    return f"is {'not in' if there else 'in no network, and belongs into'} {', '.join(lacks)}"


def _standing(service: Service, name: str, standing: Standing) -> Line:
    state = standing.health if standing.status == "running" and standing.health else standing.status
    return Line(service.name, name, state, ago(standing.since), *_reason(service, name, standing))


def _replacing(service: Service, name: str, standing: Standing) -> Line:
    """What ran before is gone, and what replaces it is there for nobody until it is well."""
    line = _standing(service, later := replacement(name), standing)
    why = line.why or "is well, and does not have its name yet"
    todo = line.todo or f"wait where a deploy is at work, else {target('deploy')} goes on"
    return Line(service.name, name, line.state, line.since, f"its replacement {later}: {why}", todo)


def _job(line: Line, standing: Standing) -> Line:
    if standing.status == "running":
        return replace(line, why="has not ended yet", todo="wait, and ask again")
    if (standing.status, standing.exit_code) == ("exited", 0):
        return replace(line, state="done")
    todo = f"{_logs(line.container)}; {target('deploy')} runs it again"
    return replace(line, why=f"failed ({_ending(standing)})", todo=todo)


def _reason(service: Service, name: str, standing: Standing) -> tuple[str, str]:
    """Why it is not well, and what to do about it."""
    if standing.status == "running":
        return _running(name, standing)
    if standing.status == "paused":
        return stands(standing.status), f"`docker unpause {name}`"
    if standing.killed_for_memory:
        more = f"give it more (overrides.{service.name}.memory_mb), then {target('deploy')}"
        return f"{stands(standing.status)} ({_ending(standing)})", more
    if standing.status == "restarting":
        return f"{stands(standing.status)} ({_ending(standing)})", _logs(name)
    return f"{stands(standing.status)} ({_ending(standing)})", f"{_logs(name)}; {target('deploy')} starts it"


def _running(name: str, standing: Standing) -> tuple[str, str]:
    if standing.health == "healthy":
        return "", ""
    if standing.health == "starting":
        return "its health check has not passed yet", "wait, and ask again"
    said = f", its health check says: {standing.checked[:200]}" if standing.checked else ""
    return f"does not answer as it should{said}", _logs(name)


def _ending(standing: Standing) -> str:
    parts = [f"exit code {standing.exit_code}"]
    if standing.killed_for_memory:
        parts.append("killed for memory")
    if standing.restarts:
        parts.append(f"{standing.restarts} restarts")
    if standing.error:
        parts.append(standing.error)
    return ", ".join(parts)


def _logs(name: str) -> str:
    return f"see `docker logs --tail 50 {name}`"


def _vault(line: Line, found: Status) -> Line:
    """Docker calls it healthy when it answers, sealed or not."""
    if found.vault is None and found.unasked:
        return replace(line, state="unasked", why="cannot be asked whether it is sealed", todo=_UNASKED)
    if found.vault is None:
        return replace(line, state="silent", why="does not answer", todo=_logs(line.container))
    if not found.vault["sealed"]:
        return line
    todo = f"{target('deploy')} unseals it; `journalctl -u {NAME}` says why the host did not"
    return replace(line, state="sealed", why="is sealed: nobody reads a secret", todo=todo)


def table(lines: Iterable[Line], found: Status) -> list[str]:
    """Service, container, state, since when, memory, image, why it is not well. Pure."""
    rows: list[tuple[str, ...]] = [("SERVICE", "CONTAINER", "STATE", "SINCE", "MEMORY", "IMAGE", "WHY")]
    for line in lines:
        usage = standing_of(line, found).usage
        said = (line.service, line.container, line.state, line.since, memory(usage), usage.image, line.why)
        rows.append(tuple(text or "-" for text in said))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def standing_of(line: Line, found: Status) -> Standing:
    """What Docker says of it, or of what replaces it."""
    there = found.containers
    return there.get(line.container) or there.get(replacement(line.container)) or Standing("missing")


def memory(usage: Usage) -> str:
    """``312/1024 MB``: in use, and what it may have; nothing where it does not run."""
    limit = f"/{usage.limit_mb}" if usage.limit_mb else ""
    return f"{usage.used_mb}{limit} MB" if usage.used_mb else ""

"""Status: how every service is, why it is not well and what to do, from one read-only run.

``pyinfra -y inventories/prod.py tasks.commands.status.run`` exits with 0 only when all is well. It asks the host itself,
so that it says more than ``verify`` when something is down; how users reach the services is verify's question.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pyinfra import logger

from tasks.commands import backup_lines
from tasks.facts import Room, Standing, Status, StatusFact
from tasks.facts.access import TABLE
from tasks.facts.unsealer import NAME
from tasks.model.catalogue import Container, Service
from tasks.model.objects import replacement
from tasks.model.targets import target
from tasks.model.words import ago, stands
from tasks.operations import jobs, rules
from tasks.rendering import backup_files, restore_files
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack

_LEAST_MB = 1024
_MOST_FILES = 95


@dataclass(frozen=True)
class Line:
    """One container's line of the table; ``todo`` is what to do about ``why``, and both are empty when it is well."""

    service: str
    container: str
    state: str
    since: str = ""
    why: str = ""
    todo: str = ""


def run() -> None:
    """The command ``make status``."""
    well(name="Status | every service, and why it is not well")


@operation
def well() -> Commands:
    """Prints the table and fails the host when something is not well, with what to do."""
    if not executing():
        return
    yield from ()
    found = known(StatusFact)
    if not found.docker:
        raise Refused(f"{host().name}: {_no_docker()}")
    lines = list(judged(services(), found))
    for text in table(lines):
        logger.info(text)
    wrong = [f"{line.container}: {line.why}: {line.todo}" for line in lines if line.why]
    wrong += machine_problems(found)
    wrong += backup_lines.wrong(found)
    wrong += firewall_problems(found, stack().bridges)
    if wrong:
        raise Refused(f"{host().name} is not well:\n" + "\n".join(f"    {text}" for text in wrong))


def _no_docker() -> str:
    return (
        "Docker does not answer, so nothing runs: `systemctl status docker` on the host says why; "
        f"{target('deploy')} installs and starts it"
    )


def judged(chosen: Iterable[Service], found: Status) -> Iterator[Line]:
    """A line for each container of the services, but for one-offs, which have a line of their own. Pure."""
    for service in (item for item in chosen if item.phase != "backup"):
        for container in service.containers:
            standing = found.containers.get(container.name)
            if standing is None and _done(service, container, found):
                yield Line(service.name, container.name, "done")
                continue
            later = found.containers.get(replacement(container.name))
            line = _line(service, container, standing, later)
            if service.phase == "vault" and not line.why:
                line = _vault(line, found)
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
    return _standing(service, name, standing)


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
    if found.vault is None:
        return replace(line, state="silent", why="does not answer", todo=_logs(line.container))
    if not found.vault["sealed"]:
        return line
    todo = f"{target('deploy')} unseals it; `journalctl -u {NAME}` says why the host did not"
    return replace(line, state="sealed", why="is sealed: nobody reads a secret", todo=todo)


def machine_problems(found: Status) -> Iterator[str]:
    """What is wrong with the host itself, with what to do. Pure."""
    for room in found.rooms:
        if said := _full(room):
            yield f"disk: {room.path} {said}: `docker system df` and `du -xh --max-depth 2 {room.path}` say what takes it"
    if found.outbound.cut_off:
        yield (
            f"network: {', '.join(found.outbound.cut_off)}: no way out, where the host itself reaches {found.outbound.to}: "
            f"a firewall is in between (`nft list ruleset`); {target('deploy')} has Docker write its rules anew"
        )
    for unit in found.units:
        if backup_files.is_ours(unit) or restore_files.is_ours(unit):
            continue  # it has left a note
        if unit == f"{NAME}.service":
            yield f"{unit}: is not active, so Vault would stay sealed after a boot: {target('deploy')} mends it"
        else:
            yield f"{unit}: has failed: see `journalctl -u {unit}`; {target('deploy')} sets it up again"


def firewall_problems(found: Status, names: Iterable[str]) -> Iterator[str]:
    """What is gone of what stands between the world and the host, with what to do. names: of our networks. Pure."""
    if found.table:
        what = "is gone" if found.table == "gone" else f"was changed (`nft list table {TABLE}` shows it)"
        yield f"firewall: our table {what}, so that the world may reach what listens on the host: {target('deploy')} loads it"
    anew = f"(a flush?): {target('deploy')} has Docker write them anew, which restarts it"
    if lost := rules.missing(found.networks, names):
        yield f"firewall: Docker's rules for {', '.join(lost)} are gone {anew}"
    elif idle := rules.idle(found.networks):
        yield f"firewall: Docker's rules that lead to {', '.join(idle)} are gone {anew}"


def _full(room: Room) -> str:
    if room.free_mb < _LEAST_MB:
        return f"is {room.used} % full, {room.free_mb} MB are free"
    return f"has room for no more files ({room.files_used} % used)" if room.files_used >= _MOST_FILES else ""


def table(lines: Iterable[Line]) -> list[str]:
    """Service, container, state, since when, why it is not well. Pure."""
    rows = [("SERVICE", "CONTAINER", "STATE", "SINCE", "WHY")]
    rows += [(line.service, line.container, line.state, line.since or "-", line.why or "-") for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]

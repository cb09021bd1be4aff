"""Report: what status says of a host, for people's eyes and as data.

``data`` is what ``make status JSON=1`` prints; its shape is the README's, and keys come without a new ``version``, while none
goes and none changes what it means.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks import backup
from tasks.commands import backup_lines
from tasks.facts import Status
from tasks.facts.last_run import Back
from tasks.model.catalogue import Service, domains
from tasks.model.stack import Stack
from tasks.model.targets import target
from tasks.operations import (
    adoption,
    backup_health,
    container_health,
    engine,
    host_health,
    host_summary,
    outdated,
    rolled,
    swarm_standing,
)
from tasks.operations.container_health import Line
from tasks.rendering import backup_files, outdated_files, topology
from tasks.run import services, stack

VERSION = 1


@dataclass(frozen=True)
class Report:
    """One host's. names: the domains that it serves. problems: what is wrong, with what to do; notices: what should not stay so. back: the rollback that a deploy would end."""

    stack: Stack
    services: tuple[Service, ...]
    names: tuple[str, ...]
    proofs: tuple[str, ...]
    status: Status
    lines: tuple[Line, ...]
    problems: tuple[str, ...]
    notices: tuple[str, ...]
    images: tuple[str, ...]
    back: Back | None = None


@dataclass(frozen=True)
class Reports:
    """Those of a run. clock: when they were made, here. silent: hosts that could not be reached."""

    inventory: str
    clock: float
    hosts: Mapping[str, Report]
    silent: tuple[str, ...] = ()


def made(found: Status, silence: str = "") -> Report:
    """The current host's. silence: why it says nothing."""
    chosen = services()
    served = any(service.phase == "proxy" for service in chosen)
    routes = [route for service in chosen for route in service.routes if served]
    names = tuple(name for route in routes for name in domains(stack(), route))
    lines = swarm_standing.every(chosen, found) if found.docker else ()
    back = rolled.standing(found.course)
    problems: Iterator[str] = iter([silence or _no_docker(found)])
    notices: Iterable[str] = ()
    if not silence:
        notices = (*rolled.notices(back), *host_health.notices(found, chosen, names))
    if found.docker:
        problems = _problems(found, lines, names)
    proofs = tuple(backup_lines.proven()) if stack().backup else ()
    images = tuple(outdated_files.images(stack()))
    return Report(stack(), chosen, names, proofs, found, lines, tuple(problems), tuple(notices), images, back)


def _no_docker(found: Status) -> str:
    if masked := next(engine.masked(found.off), ""):
        return f"Docker does not answer: {masked}, and then {target('deploy')}"
    return (
        "Docker does not answer: `systemctl status docker` on the host says why; "
        f"{target('deploy')} installs and starts it, and `systemctl restart docker` one that runs and hangs"
    )


def _problems(found: Status, lines: tuple[Line, ...], names: tuple[str, ...]) -> Iterator[str]:
    yield from (f"{line.container}: {line.why}: {line.todo}" for line in lines if line.why)
    yield from host_health.machine_problems(found, services())
    yield from adoption.answering(found.networks)
    yield from backup_lines.wrong(found)
    yield from host_health.firewall_problems(found, stack().bridges)
    yield from host_health.certificate_problems(found, names)


def summary(found: Report) -> dict[str, str]:
    """What people ask of the host first: of what → the words."""
    return host_summary.summary(found.status, found.names, found.proofs, found.images)


def lines(found: Report) -> list[str]:
    """The same below the table, and how old what is in the bucket is."""
    parts = backup_files.parts(found.stack)
    backed = backup_health.summary(found.status.backup, parts, found.status.clock)
    return [
        *(f"{what}: {words}" for what, words in summary(found).items()),
        backed if parts else backup.NOTHING,
    ]


def data(found: Reports) -> dict[str, Any]:
    """All of it as JSON has it."""
    hosts = {name: _host(item) for name, item in sorted(found.hosts.items())}
    return {
        "version": VERSION,
        "inventory": found.inventory,
        "time": _time(found.clock),
        "well": not found.silent and all(item["well"] for item in hosts.values()),
        "unreachable": list(found.silent),
        "hosts": hosts,
    }


def drawings(found: Reports) -> dict[str, topology.Drawing]:
    """Each host's, as its settings describe it, with what is wrong."""
    return {
        name: topology.drawing(item.stack, item.services, _why(item)) for name, item in found.hosts.items()
    }


def _why(found: Report) -> dict[str, str]:
    if not found.status.docker:
        return {service.main.name: "nothing is known of it" for service in found.services}
    ordered = sorted(found.lines, key=lambda line: bool(line.why))
    return {line.container.partition(".")[0]: line.why for line in ordered}


def _host(found: Report) -> dict[str, Any]:
    status, course, memory = found.status, found.status.course, found.status.memory
    return {
        "well": not found.problems,
        "zone": found.stack.zone,
        "time": _time(status.clock),
        "docker": status.docker,
        "problems": list(found.problems),
        "notices": list(found.notices),
        "summary": summary(found),
        "generation": rolled.generation(course, found.back),
        "last_deploy": host_summary.deploy(course.deploy, _time),
        "reboot": {"due_since": _time(course.reboot), "packages": list(course.packages)}
        if course.reboot
        else None,
        "memory": {
            "total_mb": memory.total_mb,
            "available_mb": memory.available_mb,
            "swap_mb": memory.swap_mb,
            "swap_free_mb": memory.swap_free_mb,
        },
        "disks": [
            {
                "path": room.path,
                "free_mb": room.free_mb,
                "used_percent": room.used,
                "files_used_percent": room.files_used,
            }
            for room in status.rooms
        ],
        "containers": [_container(line, status) for line in found.lines],
        "certificates": [_certificate(name, status) for name in found.names],
        "outdated": outdated.data(status.outdated, found.images, _time),
        "backup": _backup(found),
    }


def _container(line: Line, status: Status) -> dict[str, Any]:
    standing = container_health.standing_of(line, status)
    return {
        "service": line.service,
        "container": line.container,
        "state": line.state,
        "since": _time(status.clock - standing.since) if line.since else None,
        "restarts": standing.restarts,
        "image": standing.usage.image or None,
        "memory_mb": standing.usage.used_mb,
        "limit_mb": standing.usage.limit_mb,
        "why": line.why or None,
        "todo": line.todo or None,
    }


def _certificate(name: str, status: Status) -> dict[str, Any]:
    found = status.certificates.get(name)
    return {
        "domain": name,
        "issuer": found.issuer if found else None,
        "ends": _time(found.until) if found else None,
    }


def _backup(found: Report) -> dict[str, Any] | None:
    """Part → its last success; for the heartbeat, until when the log is in the bucket."""
    progress = found.status.backup
    parts = backup_files.parts(found.stack)
    if not parts:
        return None
    taken = {part.name: progress.succeeded.get(part.name, 0) for part in parts}
    if "heartbeat" in taken:
        taken["heartbeat"] = progress.until
    return {
        "parts": {name: _time(when) for name, when in taken.items()},
        "verified": {name: _time(progress.verified.get(name, 0)) for name in found.proofs},
    }


def _time(when: float) -> str | None:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if when else None

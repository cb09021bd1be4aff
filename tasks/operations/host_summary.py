"""Host summary: what people ask of a host first, in a line each: generation, last run, room, certificates, reboot, proven
restores. Pure.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from tasks.facts import Status
from tasks.facts.last_run import Deploy
from tasks.model.words import ago
from tasks.operations import outdated


def summary(
    found: Status, domains: Sequence[str], proofs: Iterable[str], images: Collection[str]
) -> dict[str, str]:
    """Of what → the words. proofs: ``service part`` of each that a drill has to bring back. images: those in use."""
    return {
        "generation": _generation(found),
        "last run": run(found.course.deploy, found.clock),
        "memory": _memory(found),
        "disk": "; ".join(
            f"{room.path} {room.used} % used, {_gb(room.free_mb)} free" for room in found.rooms
        ),
        "certificates": _certificates(found, domains),
        "drift": _drift(found),
        "images": outdated.words(found.outdated, images, found.clock),
        "reboot": _reboot(found),
        "proven restore": _proven(found, sorted(proofs)),
    }


def run(last: Deploy | None, clock: float) -> str:
    """What, by whom, when it ended and how."""
    if last is None:
        return "none is noted"
    at = f", at {last.at}" if last.at else ""
    what = f"{last.command} {last.about}".rstrip()
    age = ago(max(0, int(clock - (last.ended or last.started))))
    if last.result == "under way":
        return f"{what} by {last.operator}, under way for {age}{at}"
    changes = f"{len(last.changed)} changes" if len(last.changed) != 1 else "1 change"
    when = f"ended {age} ago after {ago(last.seconds)}" if last.ended else f"began {age} ago"
    return f"{what} by {last.operator}, {when}, {last.result}{at}, {changes}"


def deploy(last: Deploy | None, time: Callable[[float], str | None]) -> dict[str, Any] | None:
    """The same, for programs."""
    if last is None:
        return None
    return {
        **asdict(last),
        "started": time(last.started),
        "ended": time(last.ended),
        "at": last.at or None,
        "generation": last.generation or None,
    }


def _generation(found: Status) -> str:
    course = found.course
    active = f", active for {ago(max(0, int(found.clock - course.active)))}"
    if not course.generation:
        return "none"
    name = course.generation.rstrip("+")
    number = f"{course.number}, " if course.number else ""
    # A folder that is there already is not written to: the same files in another one, which a + tells from it.
    copies = len(course.generation) - len(name)
    copy = f" (copy {copies + 1} of these files)" if copies else ""
    return f"{number}{name}{copy}{active}"


def _memory(found: Status) -> str:
    memory = found.memory
    swap = f", swap {_gb(memory.swap_free_mb)} of {_gb(memory.swap_mb)}" if memory.swap_mb else ""
    return (
        f"{_gb(memory.available_mb)} of {_gb(memory.total_mb)} free{swap}" if memory.total_mb else "unknown"
    )


def _gb(megabytes: int) -> str:
    return f"{megabytes / 1024:.1f} GB" if megabytes < 10240 else f"{megabytes // 1024} GB"


def _certificates(found: Status, domains: Sequence[str]) -> str:
    ends = sorted((found.certificates[name].until, name) for name in domains if name in found.certificates)
    first = ""
    if ends:
        left, name = int(ends[0][0] - found.clock), ends[0][1]
        first = f", the first ends in {ago(left)} ({name})" if left > 0 else f", that of {name} has ended"
    return f"{len(ends)} of {len(domains)} domains{first}" if domains else "no domain is served"


def _drift(found: Status) -> str:
    if not found.drift.checked:
        return (
            "not looked for yet; the host does so daily, and at once by systemctl start smarteros-drift there"
        )
    differ, age = len(found.drift.differences), ago(max(0, int(found.clock - found.drift.checked)))
    return f"{differ} differences, looked for {age} ago" if differ else f"none, looked for {age} ago"


def _reboot(found: Status) -> str:
    course = found.course
    packages = f" ({', '.join(course.packages)})" if course.packages else ""
    return (
        f"due for {ago(max(0, int(found.clock - course.reboot)))}{packages}" if course.reboot else "not due"
    )


def _proven(found: Status, wanted: Sequence[str]) -> str:
    verified = found.backup.verified
    ends = sorted((verified[name], name) for name in wanted if name in verified)
    if not ends:
        return "none" if wanted else "no backup"
    oldest, name = ends[0]
    return f"{len(ends)} of {len(wanted)} parts, the oldest {ago(int(found.clock - oldest))} ago ({name})"

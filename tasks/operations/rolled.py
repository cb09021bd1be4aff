"""Rolled: what is said of a host that was rolled back, until a deploy rolls forward."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tasks.facts.last_run import Back, Course, CourseFact
from tasks.model.targets import target
from tasks.operations import described
from tasks.operations.restoring import said
from tasks.run import host, known


def words(found: Back) -> str:
    """To which generation, by whom, when."""
    return f"rolled back to generation {found.to} ({found.operator}, {said(found.time)})"


def standing(course: Course) -> Back | None:
    """None where this machine describes what the host has: no deploy would roll forward."""
    if course.back is None or course.generation.rstrip("+") == described.name(described.tree()):
        return None
    return course.back


def heading(name: str, asked: str, back: Back | None) -> Iterator[str]:
    """Of a plan. asked: what the run is."""
    if back:
        yield f"{name}: was {words(back)}: {asked} rolls forward"
    yield f"{name}: {asked} would change this:"


def notices(back: Back | None) -> Iterator[str]:
    """For status."""
    if back:
        yield (
            f"generation: the host was {words(back)}: the next {target('deploy')} rolls forward to what your settings describe, "
            f"{target('plan')} shows it"
        )


def generation(course: Course, back: Back | None) -> dict[str, Any] | None:
    """The active one, for programs."""
    if not course.generation:
        return None
    return {
        "name": course.generation,
        "number": course.number or None,
        "active_since": _time(course.active),
        "rolled_back": data(back),
    }


def data(back: Back | None) -> dict[str, Any] | None:
    """The rollback, for programs."""
    return {"to": back.to, "operator": back.operator, "time": _time(back.time)} if back else None


def _time(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def otherwise() -> str:
    """Why a command that starts what stands on the host, by what this machine describes, does nothing: the two differ."""
    course, name = known(CourseFact), host().name
    if back := course.back:
        return (
            f"{name} was {words(back)}, and your settings, or this version, describe another one. Either roll forward to those: {target('plan')} "
            f"shows it, {target('deploy')} does it, and ends the rollback. Or keep what the host has: put the settings back as they were "
            f"({target('generations')} says what differs), until {target('plan')} finds nothing to do, then run this again"
        )
    last = course.deploy
    if last and last.command != "deploy" and last.result in ("failed", "interrupted"):
        return (
            f"{name} has other files than this machine would give it, since the last {last.command} ({last.operator}, {said(last.started)}) "
            f"did not come to its end: {target('status')} says what ends it"
        )
    return (
        f"{name} has other files than this machine would give it (another version, other settings): {target('deploy')} "
        "first, or do this from where it was deployed last"
    )

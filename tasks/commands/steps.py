"""Steps: what the check did for each service, and how it is told. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.facts.answering import Image
from tasks.model.catalogue import Service

# In the place of a result.
ENDED = "ended"


@dataclass(frozen=True)
class Step:
    """One line of the table. skipped: why it says nothing of the host. why: what failed, in words."""

    service: str
    name: str
    seconds: float = 0
    why: str = ""
    skipped: str = ""


def reasons(failed: Iterable[Step]) -> list[str]:
    """What failed, and why: once for all services that it is the same for. Pure."""
    found: dict[tuple[str, str], list[str]] = {}
    for step in failed:
        found.setdefault((step.name, step.why), []).append(step.service)
    return [f"{', '.join(names)}: {name}: {why}" for (name, why), names in found.items()]


def answered(service: Service, images: Mapping[str, Image]) -> str:
    """Whether it was the real image that answered. Pure."""
    found = images.get(service.main.name)
    if service.nodes:
        return "tasks of the swarm"
    if found is None:
        return "nothing"
    if found.double:
        return "a double"
    if service.main.build:
        return "built on the host"
    return "the lab's build" if found.lab else "its image"


def table(steps: Iterable[Step], answering: Mapping[str, str]) -> list[str]:
    """Service, who answered, step, seconds and result. Pure."""
    rows = [("SERVICE", "ANSWERED BY", "STEP", "SECONDS", "RESULT")]
    rows += [
        (
            step.service,
            answering.get(step.service, "-"),
            step.name,
            f"{step.seconds:.1f}",
            "FAILED" if step.why else step.skipped or "ok",
        )
        for step in steps
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]

"""Cut short: rotations that nobody has ended, as plans, deploys and status say it, since what was to be replaced may open things still. Pure."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from tasks.facts.last_run import Deploy
from tasks.model.targets import target
from tasks.operations.restoring import said

# What a rotation can be about that is no service.
_WHOLE = ("all", "vault")


def known(found: Iterable[Deploy], names: Collection[str]) -> tuple[Deploy, ...]:
    """Those that can be ended. names: of the services that there are."""
    return tuple(item for item in found if item.about in (*_WHOLE, *names))


def lines(found: Iterable[Deploy]) -> Iterator[str]:
    """One for each."""
    for item in found:
        how = "has failed" if item.result == "failed" else "was interrupted"
        at = f' at "{item.at}"' if item.at else ""
        yield (
            f"rotate: that of {item.about} ({item.operator}, {said(item.started)}) {how}{at}, and the old values may still open things: "
            f"{target(f'rotate SERVICE={item.about}')} once more ends it, and proves the old values refused; a deploy does not"
        )


def data(found: Sequence[Deploy]) -> list[dict[str, Any]]:
    """For programs."""
    return [{"of": item.about, "operator": item.operator, "result": item.result} for item in found]

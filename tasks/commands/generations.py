"""Generations: what each deploy that changed something has made, by whom, and what differed from the one before; read only.

``pyinfra -y inventories/prod.py tasks.commands.generations.run``; with ``JSON=1`` one JSON object besides, alone on standard output.
"""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from pyinfra import logger

from tasks.commands import printed
from tasks.facts.generations import GenerationsFact
from tasks.model.generations import BROKEN, Generation, Generations, differences
from tasks.model.targets import inventory, target
from tasks.run import Commands, executing, host, known, operation

# Host → what is printed of it.
_data: dict[str, Any] = {}


def run() -> None:
    """The command ``make generations``."""
    listed(name="Generations | what each deploy has made")


@operation
def listed() -> Commands:
    """Prints the table."""
    if not executing():
        return
    yield from ()
    found = known(GenerationsFact)
    for line in table(found):
        logger.info(line)
    _data[str(host().name)] = data(found)
    if os.environ.get("JSON") and {str(item.name) for item in host().state.active_hosts} <= _data.keys():
        printed.data({"version": 1, "inventory": inventory(sys.argv), "hosts": _data})


def table(found: Generations) -> Iterator[str]:
    """The newest first: number, time, its folder, operator, and what differs from the one before, each on a line."""
    if not found.all and not found.broken:
        yield f"no generation is recorded yet: {target('deploy')} records what it makes"
        return
    current = found.current
    before = {newer.number: older for older, newer in pairwise(found.all)}
    for item in reversed(found.all):
        mark = "*" if current and item.number == current.number else " "
        back = f", back to {item.of}" if item.of else ""
        back = back or (f", the same as {same}" if (same := found.same(item)) else "")
        back += f"; the {item.failed} went back from it" if item.failed else ""
        lost = found.lacking(item)
        no = f"; cannot be gone back to, for lack of {', '.join(lost)}" if lost else ""
        yield f"{mark} {item.number:>3}  {_time(item)}  {item.tree}  {item.operator}{back}{no}"
        for line in differences(before[item.number], item) if item.number in before else ():
            yield f"          {line}"
    yield from (f"  {number:>3}  {BROKEN}" for number in reversed(found.broken))
    if current is None:
        yield "what is active is none of them: a deploy did not come to its end, or files were edited by hand"


def data(found: Generations) -> dict[str, Any]:
    """The same, for programs."""
    current = found.current
    before = {newer.number: older for older, newer in pairwise(found.all)}
    return {
        "active": current.number if current else None,
        "broken": list(found.broken),
        "generations": [
            {
                "number": item.number,
                "time": _time(item),
                "operator": item.operator,
                "package": item.version,
                "back_to": item.of or None,
                "same_as": found.same(item) or None,
                "failed": item.failed or None,
                "name": item.tree,
                "images": dict(item.images),
                "lacking": list(found.lacking(item)),
                "changed": list(differences(before[item.number], item)) if item.number in before else [],
            }
            for item in found.all
        ],
    }


def _time(item: Generation) -> str:
    return datetime.fromtimestamp(item.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

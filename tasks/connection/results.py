"""Results: pyinfra's words after a run, without what was said already: of its table the operations that changed something, or failed, and of
a failure the reason alone, where there is one. With -v or --debug it is whole.
"""

import logging
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from click import unstyle
from pyinfra import logger

from tasks.connection.detected import Row

# As many changed operations are listed; a first deploy's are in the total alone.
_MOST = 15
_HEADS = ("--> Results:", "--> Disconnecting from hosts...")
_COUNT = re.compile(r": (\x1b\[[0-9;]*m)*executed \d+ commands")
_LOUD = re.compile(r"-v+|--debug(-all|-operations)?")


def lay() -> None:
    """From now on pyinfra's command line ends so."""
    if any(map(_LOUD.fullmatch, sys.argv)):
        return
    prints: Any = sys.modules["pyinfra_cli.prints"]
    every = prints.print_rows

    def some(rows: Sequence[Row]) -> None:
        if left := done(rows):
            every(left)

    prints.print_rows = some
    logger.addFilter(new())


def done(rows: Sequence[Row]) -> list[Row]:
    """The table of results with what changed or failed, and its total; any other as it is. Of a single operation all was said. Pure."""
    (show, head), *operations = rows
    if list(head[1:3]) != ["Hosts", "Success"]:
        return [*rows]
    *operations, total = operations
    if len(operations) < 2:
        return []
    failed = [row for row in operations if row[1][3] != "-"]
    changed = [row for row in operations if row[1][2] != "-"]
    listed = (
        failed if len(changed) > _MOST else [row for row in operations if row in failed or row in changed]
    )
    return [(show, _HEADS[0]), (show, head), *listed, total]


def new() -> Callable[[logging.LogRecord], bool]:
    """Whether pyinfra shows a message: not that no host is left. Of an operation that failed, and whose host has said why, not how many
    commands it was.
    """
    reasons: set[str] = set()

    def shown(record: logging.LogRecord) -> bool:
        text = unstyle(str(record.msg))
        if text.startswith("--> Starting"):
            reasons.clear()
        host, bracket, said = text.partition("] ")
        if bracket and record.levelno >= logging.ERROR:
            if not re.fullmatch(r"Error: executed \d+ commands", said.strip()):
                reasons.add(host)
            elif host in reasons:
                record.msg = _COUNT.sub("", str(record.msg))
        ours = record.module != "cli" or text not in _HEADS
        return ours and not text.endswith("pyinfra error: No hosts remaining!")

    return shown

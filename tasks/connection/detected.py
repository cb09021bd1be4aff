"""Detected: pyinfra's table before its question, without the operations that change nothing, and without its words on hidden
changes: there are none, since what differs from the plan by then is not done (tasks/plan.py). With --dry, which asks nothing, it is whole.
"""

import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

# The function that prints it, and its columns or a line.
Row = tuple[Any, Sequence[str] | str]
_WORDS = "Detected changes may not include every change"


def lay(command_line: Any) -> None:
    """From now on pyinfra's command line (pyinfra_cli.cli) shows it so."""
    prints: Any = sys.modules["pyinfra_cli.prints"]
    every, click = prints.print_rows, command_line.click
    if "--dry" not in sys.argv:
        prints.print_rows = lambda rows: every(changing(rows))

    def echo(message: Any = None, **options: Any) -> None:
        if _WORDS not in str(message):
            click.echo(message, **options)

    # It takes this from the module click each time, and has no other place for it.
    command_line.click = SimpleNamespace(**{**vars(click), "echo": echo})


def changing(rows: Sequence[Row]) -> list[Row]:
    """The table with the operations that change something; any other as it is. Pure."""
    (show, head), *operations = rows
    if list(head[1:2]) != ["Change"]:
        return [*rows]
    there = [row for row in operations if {*row[1][1:]} != {"-"}]
    if not there:
        return [(show, f"none of {len(operations)} operations changes anything")]
    left = len(operations) - len(there)
    return [(show, head), *there, *([(show, f"{left} more change nothing")] if left else [])]

"""Confirm: pyinfra's question before it changes anything, answered without a traceback where nobody can, and by the word
alone where what goes cannot be had back by a second run.
"""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from tasks.connection import exit_code

_YES = ("", "y", "yes")
_DESTRUCTIVE = ("tasks.commands.undo_host.run", "tasks.commands.bucket_rewind.run")


def meant(answer: str | None, argv: Sequence[str]) -> str:
    """Why the answer is no yes, empty where it is one; None: nobody answered. Pure."""
    if answer is None:
        command = shlex.join([*argv[:1], "-y", *argv[1:]])
        shown = "" if _destructive(argv) else "YES=1 in the environment goes on as shown, "
        return f"nobody answered (no terminal, as in cron or CI), and nothing was done: {shown}{command} does not ask"
    if answer.strip().lower() in (_YES[2:] if _destructive(argv) else _YES):
        return ""
    return f"the answer was {answer.strip()!r}, and nothing was done: {_wanted(argv)} would have gone on"


def _destructive(argv: Sequence[str]) -> bool:
    return not {*_DESTRUCTIVE}.isdisjoint(argv)


def _wanted(argv: Sequence[str]) -> str:
    return "the word yes" if _destructive(argv) else "Enter or yes"


def lay(command_line: Any) -> None:
    """From now on pyinfra's command line (pyinfra_cli.cli) asks so."""
    command_line._do_confirm = asking(sys.argv, input, given=beforehand())  # noqa: SLF001  it has no other place for it


def beforehand() -> bool:
    """Whether the yes was said beforehand (YES=1), so that nobody is to be asked."""
    return os.environ.get("YES", "").strip() not in ("", "0", "no")


def asking(argv: Sequence[str], ask: Callable[[], str], *, given: bool = False) -> Callable[[str], bool]:
    """In the place of pyinfra's: the changes refused end the program with exit code 1, a question in between is a no.
    given: the yes to the changes was said beforehand (YES=1).
    """

    def confirmed(message: str) -> bool:
        changes = message.startswith("Detected changes")
        if changes and given and not _destructive(argv):
            return True
        sys.stderr.write(f"\n    {message}\n    {_wanted(argv)} goes on, anything else ends it: ")
        sys.stderr.flush()
        try:
            with exit_code.asked() if changes else nullcontext():
                answer: str | None = ask()
        except EOFError:
            answer = None
        if why := meant(answer, argv):
            if changes:
                sys.exit(f"\n{why}" if answer is None else why)
            return False
        return True

    return confirmed

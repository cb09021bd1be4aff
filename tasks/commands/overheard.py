"""Overheard: a run whose output is for us; who sits at the terminal hears that it takes long, what it is at, and what it waits for."""

import subprocess
import threading

from tasks.commands.answers import say

# After so many seconds people wonder (tasks/connection/answer.py).
_SILENT = 10
# How a run says that itself.
_WAITS = "has not answered for"


def printed(child: subprocess.Popen[str], what: str) -> str:
    """All that it prints. what: it is about, in words."""
    lines: list[str] = []

    def long() -> None:
        said = [text for line in lines if (text := line.strip())]
        at = f", and is at this by now: {said[-1]}" if said else ""
        say(f"{what} takes more than {_SILENT} s{at}")

    timer = threading.Timer(_SILENT, long)
    timer.daemon = True
    timer.start()
    try:
        for line in child.stdout or ():
            lines.append(line)
            if _WAITS in line:
                say(line.strip())
    finally:
        timer.cancel()
    return "".join(lines)

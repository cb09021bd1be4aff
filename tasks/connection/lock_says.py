"""Lock says: what files/run-lock.sh tells over its line, and why a host could not be locked, in one line. Pure."""

import json
import re
from collections.abc import Sequence

from tasks.connection import trouble


def said(text: str) -> str:
    """What the script says in this line; nothing in one that something else has printed. Pure."""
    found = re.search(r"smarteros-lock (.*?)\r?$", text)
    return found[1] if found else ""


def refusal(name: str, printed: Sequence[str]) -> str:
    """Why the host could not be locked, from what was printed there, by the script and by others. Pure."""
    words = [text.split(" ", 2) for text in map(said, printed) if text]
    busy = holder(printed)
    last = words[-1] if words else ["nothing"]
    if last[0] == "user":
        return f"login: commands run as {last[1]}; log in as root, or set _sudo = True for the host"
    if last[0] == "full":
        kb, place = last[1:]
        return f"{name} cannot be locked: {place} takes no note of this run ({kb} kB are free there): make room, then run again"
    if last[0] == "stuck":
        return (
            f"{name}: an interrupted run has left something at work there that does not end: "
            f"{' '.join(last[1:])}; end it, then run again"
        )
    if busy:
        return _busy(name, busy)
    why = (
        trouble.unanswered(succeeded=False, out=printed, errors=())
        if any(printed)
        else "the connection has ended"
    )
    return f"{name} cannot be locked: {why}"


def holder(printed: Sequence[str]) -> dict[str, str]:
    """What is known of the run that has the lock, as files/run-lock.sh has noted it; empty where nobody has it. Pure."""
    words = [text.split(" ", 2) for text in map(said, printed)]
    return {row[1]: row[2] for row in words if row[0] == "busy" and len(row) == 3}


def _busy(name: str, found: dict[str, str]) -> str:
    age = int(found["now"]) - int(found.get("epoch", found["now"]))
    what, who = json.loads(found.get("command", '"a run"')), json.loads(found.get("operator", '"somebody"'))
    about = json.loads(found.get("about", '""'))
    doing = f", now at {found['at']}" if "at" in found else ""
    free = f"; if it is gone for good, `kill {found['pid']}` there" if "pid" in found else ""
    return f"{name} is locked: {what}{about and f' {about}'} by {who}, under way for {duration(age)}{doing}. Run again when that has ended{free}"


def duration(seconds: int) -> str:
    """In the unit that fits. Pure."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"

"""Leading: whether the domains lead to a new host, with the records that are missing, and waited for where that is wanted."""

import os
import re
import sys
import time
from collections.abc import Callable

from tasks.commands import answers, records
from tasks.commands.answers import say
from tasks.commands.described import Described
from tasks.commands.look import Look
from tasks.connection import confirm
from tasks.run import Refused

_POLL = 10
_ABOUT_6 = " (no AAAA: the services would take all who come over IPv6 for one visitor)"


def led(found: Described, seen: Look, look: Callable[[], Look], again: str) -> None:
    """again: the command that goes on. Raises Refused when they do not come while somebody waits."""
    right = len(seen.domains) - len(seen.elsewhere)
    say(f"{right} of {len(seen.domains)} domains lead to {found.host}" if seen.domains else "no domains")
    shown(found, seen)
    if not seen.elsewhere:
        return
    minutes = _minutes()
    deadline = time.monotonic() + minutes * 60
    while seen.elsewhere and time.monotonic() < deadline:
        time.sleep(_POLL)
        before, seen = len(seen.elsewhere), look()
        if len(seen.elsewhere) != before:
            say(f"{len(seen.domains) - len(seen.elsewhere)} of {len(seen.domains)} domains lead there")
    if minutes and seen.elsewhere:
        raise Refused(
            f"after {minutes:g} minutes {', '.join(seen.elsewhere)} did not lead to {found.host}: {again} goes on "
            "once they do; WAIT=0 goes on without"
        )
    if seen.elsewhere:
        say("going on without: each domain gets its certificate once its record is right")


def shown(found: Described, seen: Look) -> None:
    """The records, where any is missing."""
    lines = list(records.records(seen, found.settings.get("mail")))
    if lines:
        say(f"DNS, to paste into the zones' files{_ABOUT_6}:")
        sys.stderr.write("".join(f"{line}\n" for line in lines))


def _minutes() -> float:
    """How long the records are waited for. Raises Refused."""
    text = os.environ.get("WAIT", "").strip()
    if not text and not confirm.beforehand():
        question = "Minutes to wait for them (Enter: go on without)"
        text = answers.right(answers.asked, "WAIT", question, _no_minutes)
    if wrong := _no_minutes(text):
        raise Refused(wrong)
    return float(text or 0)


def _no_minutes(text: str) -> str:
    return (
        ""
        if re.fullmatch(r"\d*[.]?\d*", text, re.ASCII) and text != "."
        else f"WAIT={text!r}: say it in minutes, as WAIT=30"
    )

"""Answer: what a command of ours prints, told apart from whatever a login shell, a banner or sudo prints beside it.

The command's output stands between two marks, on both streams, and its exit code is in the second. What does not end
in one is no answer, and never "nothing there". A command that cannot learn what it was asked says so with ``fail``. One that has no
answer in time is ended on the host: a Docker may take a question and never answer it (moby#37652).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import gevent
from paramiko import SSHException
from pyinfra import logger
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host

from tasks.connection import line, trouble

# Put together on the host, so that what merely shows the command (set -x) shows no mark.
_BEGIN, _END, _FAILED = "smarteros-answer", "smarteros-end", "smarteros-failed"

# Seconds that an answer may take: most take less than one, and a host that has much else to do is to be heard, too.
PATIENCE = 120
# What timeout(1) ends with, and how much later nothing is expected of the host any more: what hangs in the kernel cannot be ended.
_LATE, _GRACE = 124, 15
# After so many people wonder.
_SILENT = 10
_KILLED = 137  # by somebody else


class NoAnswer(Exception):
    """Why a question stays open, for an operator to read. ran: the host has run it, and could not say."""

    def __init__(self, why: str, *, ran: bool = False) -> None:
        super().__init__(why)
        self.ran = ran


class Late(NoAnswer):
    """There was none in time. out: what had come by then; None where nobody knows."""

    def __init__(self, seconds: int, out: Sequence[str] | None = None) -> None:
        super().__init__(trouble.late(seconds))
        self.out = out


@dataclass(frozen=True)
class Printed:
    """What came back: whether the command as a whole succeeded, and the lines of its two streams."""

    succeeded: bool
    out: Sequence[str]
    errors: Sequence[str] = ()


def marked(text: str, seconds: int = PATIENCE) -> str:
    """Shell that runs the text and marks its output. Programs speak English in it, whatever the login's language."""
    return f"""
mark() {{ printf '\\nsmarteros-%s\\n' "$1"; printf '\\nsmarteros-%s\\n' "$1" >&2; }}
export LC_ALL=C.UTF-8
unset POSIXLY_CORRECT
question=$(cat <<'SMARTEROS_QUESTION'
fail() {{ printf 'smarteros-%s %s\\n' failed "$*"; }}
{text}
SMARTEROS_QUESTION
)
mark answer
timeout -k 5 {seconds} sh -c "$question"
mark "end $?"
""".strip()


def read(printed: Printed, seconds: int = PATIENCE) -> list[str]:
    """The lines of the answer. Raises NoAnswer, and Late where these seconds were not enough. Pure."""
    out, code = _between(printed.out)
    if code == _LATE:
        raise Late(seconds, out)
    if code in (None, _KILLED):
        raise NoAnswer(trouble.unanswered(printed.succeeded, printed.out, printed.errors))
    errors = filter(None, map(str.strip, _between(printed.errors)[0]))
    failed = [text.removeprefix(_FAILED).strip() for text in out if text.startswith(_FAILED)]
    if failed or code:
        why = "; ".join(failed) if failed else f"a question ends with exit code {code}"
        raise NoAnswer(": ".join(filter(None, (why, trouble.short(errors)))), ran=True)
    return out


def _between(lines: Sequence[str]) -> tuple[list[str], int | None]:
    """What stands between the marks, and the exit code; None when the second mark is missing."""
    found: list[str] | None = None
    carriage = False
    for text in lines:
        clean = text.rstrip("\r")
        if clean == _BEGIN:
            found, carriage = [], text != clean
        elif found is not None and (end := re.fullmatch(rf"{_END} (\d+)", clean)):
            return found[:-1] if found[-1:] == [""] else found, int(end[1])
        elif found is not None:
            found.append(clean if carriage else text)
    return found or [], None


def asked(target: Host, text: str, *, sudo: bool = True, seconds: int = PATIENCE, **shown: Any) -> list[str]:
    """The answer of a host to a command, with what the inventory says of every command there. Raises NoAnswer, Late."""
    arguments = {**(line.arguments(target) if sudo else {}), "_timeout": seconds + _GRACE, **shown}
    try:
        with _heard(target, seconds):
            succeeded, output = target.run_shell_command(StringCommand(marked(text, seconds)), **arguments)
    except (OSError, EOFError, SSHException, PyinfraError) as error:
        if isinstance(error, TimeoutError) and error.errno is None:  # pyinfra's
            raise Late(seconds) from None
        raise NoAnswer(trouble.lost(error)) from None
    return read(Printed(succeeded, output.stdout_lines, output.stderr_lines), seconds)


# Hosts whose silence has been said, until they answer something.
_silent: WeakSet[Host] = WeakSet()


@contextmanager
def _heard(target: Host, seconds: int) -> Iterator[None]:
    """Meanwhile a host that does not answer is named, once, however much it is asked at a time."""

    def say() -> None:
        if target not in _silent:
            _silent.add(target)
            # Not by the host's own log, which is a plan's while one is drawn up.
            logger.info("%s has not answered for %s s; waits up to %s s", target.name, _SILENT, seconds)

    timer = gevent.spawn_later(_SILENT, say)
    try:
        yield
        _silent.discard(target)
    finally:
        timer.kill(block=False)

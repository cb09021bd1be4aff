"""Trouble: what stands between this machine and a host's answers, each in one line with the way out. Pure."""

import re
from collections.abc import Iterable, Sequence

from tasks.model.targets import target

_MOST = 200
TERMINAL = "sudo wants a terminal there: take `Defaults requiretty` out of its sudoers, as root (visudo)"

# What a host prints in place of an answer → what that means, and what to do.
_PRINTED = (
    (
        r"password has expired|change your password|[Pp]assword change required",
        (
            "the password of this login has expired, and until it is changed the host runs nothing for it: change it at a "
            "terminal (ssh -t), or as root (chage -M -1 and passwd for that user), or log in as another user (ssh_user)"
        ),
    ),
    (
        r"must have a tty",
        TERMINAL,
    ),
    (
        r"account is currently not available|account is locked|This account",
        (
            "this login may run no commands there, it has no shell: give the user one, as root (chsh -s /bin/bash and the "
            "user's name), or log in as another user (ssh_user)"
        ),
    ),
    (
        r"(?m)^(sh|env|sudo)?:?.*(No space left|Read-only file system)",
        "the host cannot write: make room there (df -h), or see why its file system is read-only (dmesg)",
    ),
)
_NO_SHELL = (
    "it runs no command of ours for this login: the login shell, what that starts, or a forced command of the key answers "
    "in its place{said}: give the user a shell that runs commands, as root (chsh -s /bin/bash and the user's name), "
    "or log in as another user (ssh_user)"
)


def unanswered(succeeded: bool, out: Sequence[str], errors: Sequence[str]) -> str:
    """Why an answer is missing or breaks off."""
    printed = [text.strip() for text in (*errors, *out) if text.strip()]
    if any(text.startswith("smarteros-") for text in map(str.strip, out)):
        return "the answer breaks off: what gives it was ended, or the connection; run again"
    if why := meant("\n".join(printed)):
        return why
    if sudo := [text for text in printed if re.match(r"sudo(-rs)?: ", text)]:
        return short(sudo)
    said = f" ({short(printed)})" if printed else f" (with nothing, exit code {'' if succeeded else 'not '}0)"
    return _NO_SHELL.format(said=said)


def meant(text: str) -> str:
    """What a host means by it, and what to do; empty where it is none of what is known."""
    return next((why for pattern, why in _PRINTED if re.search(pattern, text)), "")


def lost(error: Exception) -> str:
    """What an error of the connection means while a command is under way."""
    said = " ".join(str(error).split())[:_MOST] or type(error).__name__
    return f"the connection does not hold ({said}): run again"


def late(seconds: int, about: str = "") -> str:
    """A question that has no answer in time. about: what it is about."""
    asked = f"is asked about {about}" if about else "is asked there"
    return (
        f"no answer within {seconds} s to what {asked}: something on the host hangs, mostly Docker (`systemctl status docker`; "
        "`systemctl restart docker` makes it answer again, and restarts all containers) or a disk (`dmesg`); "
        f"once {target('status')} has an answer, run again"
    )


def short(lines: Iterable[str]) -> str:
    """Lines as part of one, the first that fit; a command of ours that a host repeats is left out."""
    text = re.sub(r"sh -c 'eval .*", "sh -c …", " / ".join(lines))
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"

"""Of this machine: how a host's lock names the run that holds it, so that the machine that it was begun on knows when it is over.

A host notices minutes later that a connection is gone whose network was lost, if at all before the new one's settings of sshd.
"""

import os
from contextlib import suppress
from pathlib import Path

_BOOT, _SPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


def name() -> str:
    """The name of this process, which no other one of any machine has ever had; empty on a system that does not tell (macOS)."""
    return _named(os.getpid())


def over(found: str) -> bool:
    """Whether it was a process of this machine that is gone. False for one that cannot be seen from here, as in another container."""
    boot, _, rest = found.partition(" ")
    space, _, rest = rest.partition(" ")
    number, _, _ = rest.partition(" ")
    if not number.isdecimal() or [boot, space] != _here():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return _named(int(number)) not in ("", found)


def _named(number: int) -> str:
    with suppress(OSError, IndexError, UnicodeError):
        # Behind the program's name, which may hold anything.
        started = Path(f"/proc/{number}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
        return " ".join((*here, str(number), started)) if (here := _here()) else ""
    return ""


def _here() -> list[str]:
    with suppress(OSError):
        return [_BOOT.read_text("utf-8").strip(), str(_SPACE.readlink())]
    return []

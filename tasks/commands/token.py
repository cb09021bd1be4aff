"""Token: one of Vault's for guarded pages, which opens them for some hours and is good for nothing else.

``HOURS=8 pyinfra -y inventories/prod.py tasks.commands.token.run`` prints it on standard output, and keeps it nowhere.
"""

import os
import sys

from pyinfra import logger

from tasks.clients import vault_token
from tasks.clients.vault_session import GUARD_HOURS
from tasks.commands.printed import printed
from tasks.connection import grouped
from tasks.run import Commands, Refused, executing, host, operation

_MOST_HOURS = 168


def run() -> None:
    """The command ``make token``."""
    if grouped.elsewhere():
        return
    given(name="Token | one for guarded pages, shown once")


@operation
def given() -> Commands:
    """Prints the token alone, so that it can go where the operator wants it."""
    if not executing():
        return
    yield from ()
    hours = wanted(os.environ.get("HOURS", ""))
    token = vault_token.lasting(hours)
    host().log(
        f"it counts for {hours} h, opens guarded pages (X-Vault-Token, /sign-in), and is shown this once:"
    )
    show(token)


def wanted(hours: str) -> int:
    """How long. Raises Refused."""
    if not hours:
        return GUARD_HOURS
    if not (hours.isascii() and hours.isdigit() and 1 <= int(hours) <= _MOST_HOURS):
        raise Refused(f"HOURS={hours}: say whole hours, 1 to {_MOST_HOURS}")
    return int(hours)


def show(value: str) -> None:
    """What is secret, to standard output and no log of ours; says where that is no terminal."""
    if not sys.stdout.isatty():
        line = "standard output is no terminal: what is secret goes where that leads, which may be a file or a log"
        host().log_styled(line, fg="yellow", log_func=logger.warning)
    printed(value)

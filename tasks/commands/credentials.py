"""Credentials: the first admins' logins as Vault has them: ``SERVICE=odoo pyinfra -y inventories/prod.py tasks.commands.credentials.run``,
of all services without SERVICE. Shown once somebody has said yes; who that was stands in the host's log of runs, the logins in none.
"""

import os
import sys
from collections.abc import Sequence
from functools import cache, partial

from tasks import lock
from tasks.commands.chosen import chosen
from tasks.commands.token import show
from tasks.connection import grouped
from tasks.connection.said import Said
from tasks.first_logins import entry
from tasks.model.catalogue import Service
from tasks.run import Commands, Refused, executing, host, operation, services, step

CHOICE = "SMARTEROS_SERVICE"


def run() -> None:
    """The command ``make credentials``."""
    if grouped.elsewhere():
        return
    os.environ["PYINFRA_PROGRESS"] = "off"  # its spinner would write over the question
    try:
        there, choice = [item for item in services() if item.admin], os.environ.get(CHOICE, "")
        found = [chosen(choice, there, "has a login")] if choice else there
    except Refused as error:
        raise Said(str(error)) from None
    agreed(found, name="Credentials | whether to show them")
    lock.run(deploy=False, early=False)
    shown(found, name=f"Credentials | shown: {', '.join(item.name for item in found)}")


@operation
def agreed(found: Sequence[Service]) -> Commands:
    """Before the lock: who thinks about the answer keeps nobody from the host."""
    if executing() and not _agreed(", ".join(item.title for item in found)):
        raise Refused("nothing is shown: the answer was not yes")
    yield from ()


@operation
def shown(found: Sequence[Service]) -> Commands:
    """Noted as a change, so that the log names whose logins were shown."""
    yield step(partial(_show, found))


def _show(found: Sequence[Service]) -> None:
    show("".join(entry(item, item.admin) for item in found if item.admin).strip("\n"))


@cache
def _agreed(whose: str) -> bool:
    """Asked once, however many hosts there are."""
    host().log(f"passwords come on the screen: {whose}; yes shows them, anything else ends it")
    return sys.stdin.readline().strip() == "yes"

"""Drill: what is in the bucket is restored beside what runs, read as a whole, and removed again; what has come back is noted.

``pyinfra -y inventories/prod.py tasks.commands.drill.run``; SMARTEROS_RESTORE names a service where it is not about all. Timers
of the host do the same: Postgres nightly, everything weekly.
"""

import os
from shlex import quote
from typing import Any

from pyinfra.api import StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.util import CommandOutput

from tasks.commands import restore
from tasks.connection import grouped
from tasks.connection.said import Said
from tasks.facts.restorable import DRILL
from tasks.model.targets import target
from tasks.rendering import restore_files
from tasks.run import Commands, Refused, operation, services, stack

UNIT = "smarteros-drill-now"


def run() -> None:
    """The command ``make drill``."""
    if grouped.elsewhere():
        return
    try:
        chosen = named(os.environ.get(restore.CHOICE, ""))
    except Refused as error:
        raise Said(str(error)) from None
    drilled(chosen, name=f"Drill | {chosen or 'everything'} comes back from the bucket")


def named(choice: str) -> str:
    """The service that SERVICE names, or none for all. Raises Refused."""
    there = [item.name for item in restore_files.restorable(stack(), services())]
    if choice and choice not in there:
        raise Refused(
            f"SERVICE={choice}: nothing of that name is restored by itself: there are {', '.join(there)}"
        )
    return choice


class Shown(StringCommand):
    """A command whose lines are shown as they come, and therefore not once more where it fails."""

    def execute(self, state: State, host: Host, connector_arguments: Any) -> tuple[bool, CommandOutput]:
        """In the place of pyinfra's, which shows none of them before the end."""
        connector_arguments.update(self.connector_arguments)
        done, _ = host.run_shell_command(
            self, print_output=True, print_input=state.print_input, **connector_arguments
        )
        return done, CommandOutput([])


@operation
def drilled(chosen: str) -> Commands:
    """In a unit of its own, as the timers' are; each step is said as it begins, and what it has found."""
    if stack().backup is None:
        raise Refused("nothing is backed up: the setting backup names a bucket (README, Backups)")
    missing = f"there is nothing to drill with: {target('deploy')} brings it"
    limits = "--property=Nice=19 --property=CPUWeight=20 --property=IOWeight=20 --property=RuntimeMaxSec=12h"
    yield Shown(
        f"[ -e {DRILL} ] || {{ echo {quote(missing)} >&2; exit 1; }}\n"
        f"systemd-run --quiet --wait --collect --pipe --unit={UNIT} {limits} --property='ExecStopPost=/bin/bash {DRILL} end' "
        f"/bin/bash {DRILL} full {quote(chosen) if chosen else ''} </dev/null"
    )

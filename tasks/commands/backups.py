"""Backups: what can be had again, until which second, and when that was last proven; read from the bucket.

``pyinfra -y inventories/prod.py tasks.commands.backups.run``
"""

from pyinfra import logger

from tasks import backup
from tasks.connection import grouped
from tasks.facts import Backups, BackupsFact
from tasks.operations import backup_health, restoring
from tasks.rendering import backup_files
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack


def run() -> None:
    """The command ``make backups``."""
    if grouped.elsewhere():
        return
    listed(name="Backups | what can be had again")


@operation
def listed() -> Commands:
    """Prints the table; fails the host where the bucket cannot be read."""
    if not executing():
        return
    yield from ()
    if stack().backup is None:
        raise Refused(f"{host().name}: {backup.NOTHING}")
    found = known(BackupsFact)
    shown(found)
    if found.wrong:
        raise Refused(f"{host().name}: {restoring.unreadable(found.wrong)}")


def shown(found: Backups) -> None:
    """The table, for whoever reads along."""
    for line in backup_health.table(found, services(), backup_files.parts(stack())):
        logger.info(line)

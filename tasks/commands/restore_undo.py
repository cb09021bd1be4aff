"""Restore-undo: what the last restore of a service has replaced comes back into its place, and what it had brought is kept.

``SERVICE=odoo pyinfra -y inventories/prod.py tasks.commands.restore_undo.run``, once more undoes the undoing.
"""

import os

from pyinfra.api import StringCommand

from tasks import lock
from tasks.commands import restore
from tasks.connection import grouped
from tasks.connection.said import Said
from tasks.model.catalogue import Service
from tasks.run import Commands, Refused, executing, operation


def run() -> None:
    """The command ``make restore-undo``."""
    if grouped.elsewhere():
        return
    try:
        service = restore.named(os.environ.get(restore.CHOICE, ""))
    except Refused as error:
        raise Said(str(error)) from None
    lock.run(deploy=False)
    undone(service, name=f"Restore | {service.title} as it was before the last restore")
    restore.back(service, undone=True)


@operation
def undone(service: Service) -> Commands:
    """Nothing is read from the bucket: all of it is on the host, whose script says where nothing is kept."""
    if executing():
        restore.as_described()
    yield StringCommand(restore.script(service, ["--undo"]))

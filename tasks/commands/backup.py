"""Backup now: all parts, until the bucket has them, which is read back from there.

``pyinfra -y inventories/prod.py tasks.commands.backup.run``
"""

from shlex import quote

from pyinfra.api import StringCommand

from tasks import backup
from tasks.commands.backups import shown
from tasks.connection import grouped
from tasks.facts import BackupsFact
from tasks.model.targets import target
from tasks.operations import backup_health
from tasks.rendering import backup_files
from tasks.rendering.render import CURRENT
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack

# What only lets go and reads is not waited for.
_LATER = ("check",)


def run() -> None:
    """The command ``make backup``."""
    if grouped.elsewhere():
        return
    copied(name="Backup | everything, now")


@operation
def copied() -> Commands:
    """One command; then what is in the bucket."""
    parts = backup_files.parts(stack())
    if not parts:
        raise Refused(f"{host().name}: {backup.NOTHING}")
    units = " ".join(f"{part.unit}.service" for part in parts if part.name not in _LATER)
    missing = f"backups are not set up on this host yet: {target('deploy')} does it"
    yield StringCommand(
        f"[ -e {CURRENT}/backup/now.sh ] || {{ echo {quote(missing)} >&2; exit 1; }}\nsh {CURRENT}/backup/now.sh {units}"
    )
    if not executing():
        return
    found = known(BackupsFact)
    shown(found)
    if lost := [*found.wrong, *backup_health.missing(found, services(), parts)]:
        raise Refused(
            f"{host().name}: not in the bucket: {'; '.join(lost)}: {target('status')} says which part of the backup has failed, and why"
        )

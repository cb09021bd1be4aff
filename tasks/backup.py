"""Backup: the bucket's repositories are there, and timers of the host copy everything into them.

Without the setting each run says that nothing is backed up, and timers of an earlier one are gone.
"""

from pyinfra import logger
from pyinfra.api import StringCommand

from tasks.clients import vault_values
from tasks.connection.drafts import note
from tasks.facts import MachineFact
from tasks.model.effects import Ends
from tasks.model.targets import target
from tasks.operations import images
from tasks.operations.units import units
from tasks.rendering import backup_files, render, restore_files
from tasks.run import Commands, executing, host, known, operation, remember, services, stack

NOTHING = f"nothing is backed up: the setting backup names a bucket, and {target('bucket')} sets it up (README, Backups)"
ENDS = "nothing is backed up any more: timers stop, and Postgres' log leaves no more; what is in the bucket stays there as it is"


def run() -> None:
    """The phase. After the services, whose volumes are there by then."""
    if stack().backup is None:
        stopped(name="Backup | none is set up")
        return
    texts = backup_files.units(stack(), render.CURRENT) | restore_files.units(stack(), render.CURRENT)
    units(texts, name="Backup | timers, each part by itself")
    prepared(name="Backup | the repositories in the bucket")
    copied()


def copied() -> None:
    """The phase, of a run that writes into Vault and makes nothing else."""
    if stack().backup is not None:
        snapshot(name="Backup | what this run has written into Vault")


@operation
def stopped() -> Commands:
    """Timers of ours stop and are gone; what they have copied away stays in the bucket."""
    if executing() or not known(MachineFact).deployed:
        remember("nothing is backed up", _warn)
    if names := sorted(
        name for name in known(MachineFact).units if backup_files.is_ours(name) or restore_files.is_ours(name)
    ):
        note(Ends(ENDS))
        yield StringCommand(_removal(names))


def _warn() -> None:
    host().log_styled(NOTHING, fg="yellow", log_func=logger.warning)


def _removal(names: list[str]) -> str:
    timers = " ".join(name for name in names if name.endswith(".timer"))
    paths = " ".join(f"/etc/systemd/system/{name}" for name in names)
    return f"""
set -e
systemctl disable --quiet --now {timers} 2>/dev/null || true
rm -f {paths}
systemctl daemon-reload
rm -rf {backup_files.STATE} {backup_files.METRICS}/backup_*.prom {backup_files.METRICS}/wal.prom
""".strip()


@operation
def prepared() -> Commands:
    """Once for each bucket: what is there is taken, and never written over."""
    if known(MachineFact).backup != render.bucket(stack()):
        container = next(item for each in services() if each.phase == "backup" for item in each.containers)
        yield StringCommand(f"set -e\n{images.wait(container)}\nsh {render.CURRENT}/backup/prepare.sh")


@operation
def snapshot() -> Commands:
    """A secret that Vault alone has is not left to the next hour."""
    if vault_values.wrote() and any(part.name == "vault" for part in backup_files.parts(stack())):
        # Of a host that has no timers yet the deploy that brings them copies it.
        yield StringCommand(
            "unit=smarteros-backup-vault.service; ! systemctl cat $unit >/dev/null 2>&1 || systemctl start --no-block $unit"
        )

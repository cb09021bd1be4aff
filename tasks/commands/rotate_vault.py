"""Rotate, of Vault itself: the deployer's secret id and the unseal keys. ``make rotate SERVICE=vault`` calls it.

This machine holds both, the old and the new, from before Vault takes the new ones until its snapshot with them is in the bucket:
a run that was cut short anywhere leaves a Vault that the next deploy, the host's boot and a recovery open. It is run again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from pyinfra.api import StringCommand

from tasks import boot
from tasks.clients import recovery, vault_answers, vault_kept, vault_keys, vault_session
from tasks.clients.lazily import lazily
from tasks.clients.vault_kept import Kept, keep, kept
from tasks.clients.vault_session import DEPLOYER, foreseen
from tasks.commands.restore import as_described
from tasks.model.shapes import shaped
from tasks.rendering import backup_files
from tasks.run import Commands, Refused, executing, host, operation, services, stack, step

if TYPE_CHECKING:
    import hvac
else:
    hvac = lazily("hvac")

NAME = "vault"


def run() -> None:
    """What ``make rotate SERVICE=vault`` does, once Vault is open."""
    begun(name="Rotate | a new secret id of the deployer, and new unseal keys, are on this machine")
    kept_safe()
    confirmed(name="Rotate | Vault takes the new unseal keys, and no others")
    copied(name="Rotate | a snapshot of this Vault is in the bucket")
    ended(name="Rotate | what opened Vault before is refused")
    kept_safe()


def kept_safe() -> None:
    """Wherever these keys are, besides this machine."""
    boot.run()
    if stack().backup:
        sealed(name="Recovery | what this machine alone knows is sealed and in the bucket")


def possible() -> None:
    """Raises Refused where there is no Vault of ours, or not what it takes."""
    if address := stack().vault_address:
        raise Refused(
            f"SERVICE={NAME}: the Vault at {address} is not ours: who looks after it changes its keys and credentials"
        )
    if not any(item.name == NAME for item in services()):
        raise Refused(f"SERVICE={NAME}: {host().name} has no Vault")
    if os.environ.get("VAULT_ROLE_ID"):
        raise Refused(
            f"SERVICE={NAME}: VAULT_ROLE_ID says that this machine has a credential alone; unset it where the unseal keys are "
            "(the setting state_dir)"
        )


@operation
def begun() -> Commands:
    """Nothing that counts is lost: both are noted before anybody relies on the new ones."""
    if not executing():
        yield "true"
        return
    as_described()
    yield step(_secret_id)
    yield step(_keys)


def _stored() -> Kept:
    found = kept()
    if not found or not found.keys or not found.role_id:
        raise Refused(vault_session.lost_state())
    return found


def _secret_id() -> None:
    """A new one beside that which opens Vault now."""
    stored, approle = _stored(), vault_session.deployer().auth.approle
    opens = stored.secret_id if _opens(stored.secret_id) else stored.other_secret_id
    with foreseen("making a new secret id of the deployer"):
        made = shaped(vault_answers.SecretId, approle.generate_secret_id(DEPLOYER))["data"]["secret_id"]
    keep(replace(stored, secret_id=made, other_secret_id=opens))


def _keys() -> None:
    """Of those that were left by a run that was cut short, the ones that count are found by trying."""
    stored = _stored()
    for keys in filter(None, (stored.keys, stored.other_keys)):
        if made := vault_keys.made(keys):
            keep(replace(stored, keys=keys, other_keys=made))
            return
    raise Refused(
        f"Vault on {host().name} takes no keys of {vault_kept.state_file()} for its own: restore that file from your backup of it"
    )


@operation
def sealed() -> Commands:
    """Here a bucket that is away ends the run: without these keys nothing in it could be opened."""
    if recovery.due() or not executing():
        yield step(recovery.put)


@operation
def confirmed() -> Commands:
    """From here on the old keys are those of snapshots."""
    yield step(_confirmed) if executing() else "true"


def _confirmed() -> None:
    stored = _stored()
    if not vault_keys.confirmed(stored.other_keys):
        raise Refused(f"Vault on {host().name} does not take the new unseal keys: run this again")
    keep(replace(stored, keys=stored.other_keys, other_keys=stored.keys))


@operation
def copied() -> Commands:
    """A recovery would open the last one of before with the old keys only."""
    if stack().backup and any(part.name == NAME for part in backup_files.parts(stack())):
        yield StringCommand(_COPIED)


# One that is at work has perhaps begun before; of a host that has no timers yet the deploy that brings them copies it.
_COPIED = """
unit=smarteros-backup-vault.service
systemctl cat $unit >/dev/null 2>&1 || exit 0
[ "$(systemctl is-active $unit)" != activating ] || systemctl start $unit || true
systemctl start $unit || { systemctl status --no-pager --lines=5 $unit >&2; exit 1; }
""".strip()


@operation
def ended() -> Commands:
    """Whoever else had a secret id of the deployer's, as CI, needs the new one."""
    yield step(_ended) if executing() else "true"


def _ended() -> None:
    stored, approle = _stored(), vault_session.deployer().auth.approle
    with foreseen("taking back the deployer's earlier secret ids"):
        found = shaped(vault_answers.Data, approle.read_secret_id(DEPLOYER, stored.secret_id))["data"]
        listed = shaped(vault_answers.Data, approle.list_secret_id_accessors(DEPLOYER))["data"]
        earlier = {*shaped(vault_answers.Accessors, listed)["keys"]} - {found["secret_id_accessor"]}
        for accessor in sorted(earlier):
            approle.destroy_secret_id_accessor(DEPLOYER, accessor)
    if _opens(stored.other_secret_id):
        raise Refused(f"Vault on {host().name} still takes the deployer's earlier secret id: run this again")
    if vault_keys.made(stored.other_keys):
        vault_keys.given_up()
        raise Refused(f"Vault on {host().name} still takes its earlier unseal keys: run this again")
    keep(replace(stored, other_keys=(), other_secret_id=""))
    host().log(
        f"earlier secret ids of the deployer that are refused now: {len(earlier)}; the earlier unseal keys are as well. Whoever has a copy of "
        f"{vault_kept.state_file()}, or VAULT_SECRET_ID, as CI, needs the new one"
    )


def _opens(secret_id: str) -> bool:
    """Whether Vault takes it for the deployer's."""
    client = vault_session.client()
    with foreseen("trying a secret id of the deployer's"):
        try:
            client.auth.approle.login(_stored().role_id, secret_id)
        except hvac.exceptions.InvalidRequest:
            return False
    return True

"""Bucket secrets: what opens the bucket, and the credential that takes Vault's snapshots, are written into Vault once.

Keys and passwords are the kit's (``make bucket``); the credential is that of the AppRole of the service ``backup``, which
Vault makes. What is there is never overwritten, but by a recovery the key for the bucket: the kit's counts, for the lost host's may
have been stolen and made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tasks.clients import kit, vault_access, vault_session, vault_values
from tasks.clients import vault_answers as answers
from tasks.clients.vault_session import foreseen
from tasks.model.given import BUCKET, given
from tasks.model.load import BACKUP
from tasks.model.shapes import shaped
from tasks.run import Commands, Refused, operation, services, step

_ROLE, _SECRET = "VAULT_ROLE_ID", "VAULT_SECRET_ID"


@operation
def handed(*, recovering: bool = False) -> Commands:
    """Writes the missing ones in one check-and-set write. recovering: also a key for the bucket that is not the kit's."""
    if vault_access.out_of_reach():
        vault_values.writing()
        yield "true"  # planning on a host whose Vault cannot be asked yet
        return
    present, version = vault_values.versioned(BUCKET)
    for reason in vault_values.unopened(present):
        raise Refused(reason)
    if recovering:
        present = {name: value for name, value in present.items() if not _replaced(name, value)}
    if [name for path, name in given(services()) if path == BUCKET and not present.get(name)]:
        vault_values.writing()
        yield step(partial(_write, present, version))


def _replaced(name: str, value: str) -> bool:
    held = kit.held()
    return held is not None and name in vault_values.KEY and vault_values.HELD[name](held) != value


def _write(present: Mapping[str, str], version: int) -> None:
    held, full = kit.held(), dict(present)
    for path, name in given(services()):
        if path == BUCKET and name in vault_values.HELD and not full.get(name) and held is not None:
            full[name] = vault_values.HELD[name](held)
    if (BUCKET, _ROLE) in given(services()) and not (full.get(_ROLE) and full.get(_SECRET)):
        full |= _credential()
    vault_values.write(BUCKET, full, version)


def _credential() -> dict[str, str]:
    """Of the AppRole, which may take snapshots and read its own path."""
    client = vault_session.deployer()
    with foreseen(f"making the credential of the AppRole {BACKUP}"):
        found = shaped(answers.RoleId, client.auth.approle.read_role_id(BACKUP))
        made = shaped(answers.SecretId, client.auth.approle.generate_secret_id(BACKUP))
    return {_ROLE: found["data"]["role_id"], _SECRET: made["data"]["secret_id"]}

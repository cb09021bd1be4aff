"""Kit check: proves that the kit opens all that is in the bucket, as it would have to on a day with nothing else left.

``KIT=~/smarteros-kit.json pyinfra -y inventories/prod.py tasks.commands.kit_check.run``
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pyinfra import logger

from tasks.clients import kit as kits
from tasks.clients import openings, recovery, vault_values
from tasks.clients.kit import Kit
from tasks.clients.lazily import lazily
from tasks.clients.vault_kept import kept
from tasks.clients.vault_values import HELD
from tasks.commands.bucket import of_that_bucket, setting, there
from tasks.model.given import BUCKET
from tasks.model.targets import target
from tasks.run import Commands, Refused, executing, host, operation, stack

if TYPE_CHECKING:
    from tasks.clients import bucket
else:
    bucket = lazily("tasks.clients.bucket")


def run() -> None:
    """The command ``make kit-check``."""
    stack()  # wrong settings are said before anything is asked of anybody
    checked(name="Kit check | it opens what is in the bucket")


@operation
def checked() -> Commands:
    """It only reads. That it was done is noted on this machine, and deploys no longer ask for it."""
    if executing():
        prove()
    yield from ()


def prove() -> None:
    """Everything opens with the file alone. Raises Refused with what does not."""
    path, kit = there()
    of_that_bucket(path, kit, setting())
    store = bucket.Bucket(kit.backup, kit.access_key, kit.secret_key)
    _state(recovery.fetched(store, kit.keys.private))
    _same_as_the_hosts(kit)
    _repository("restic's repository (files, dumps, Vault)", partial(_restic, store, kit))
    _repository("pgBackRest's archive (databases)", partial(_pgbackrest, store, kit))
    recovery.note(replace(recovery.noted(), checked=kit.fingerprint))
    host().log(f"backup: the kit {path} ({kit.fingerprint}) opens what is there")


def _same_as_the_hosts(kit: Kit) -> None:
    """What the host encrypts with comes of this kit, or nothing that it stores from now on will open."""
    held = kits.held_of(kit)
    found = vault_values.values(BUCKET)
    if not found:
        raise Refused(f"Vault does not hold {stack().vault_mount}/{BUCKET} yet: {target('deploy')} writes it")
    other = [name for name, made in HELD.items() if name in found and found[name] != made(held)]
    if other and set(other) <= set(vault_values.KEY):
        named = " and ".join(target(f"give-secrets NAME={BUCKET}#{name}") for name in other)
        raise Refused(
            f"backup: {host().name} uses another key for the bucket than this kit's ({', '.join(other)} in {stack().vault_mount}/{BUCKET}): where "
            f"the kit has a new one, {named} tells Vault, and {target('deploy')} the host (README, Backups)"
        )
    if other:
        raise Refused(
            f"backup: {host().name} uses other keys than this kit's ({', '.join(other)} in {stack().vault_mount}/{BUCKET}): "
            "look for the kit that it was deployed with"
        )


def _state(state: dict[str, Any]) -> None:
    keys, stored = kept(), json.loads(state["state_dir"].get("vault.json", "{}"))
    if keys and list(keys.keys) != stored.get("keys", []):
        raise Refused(
            f"backup: the sealed state holds other unseal keys than this machine: {target('deploy')} from the machine whose "
            f"state_dir is that of {host().name}"
        )
    if recovery.due():
        _warn(f"the sealed state is older than what this machine knows: {target('deploy')} stores it anew")
    host().log("backup: the sealed state opens (settings, unseal keys, the deployer's credential)")


def _repository(name: str, opened: Callable[[], bool]) -> None:
    try:
        if opened():
            host().log(f"backup: {name} opens")
        else:
            _warn(f"{name} is not in the bucket yet: {target('backup')} makes it")
    except openings.Closed as error:
        raise Refused(f"backup: {error}: it was made with another kit, or is damaged") from None


def _restic(store: bucket.Bucket, kit: Kit) -> bool:
    """Whether there is one. Raises Closed."""
    keys = _read(store, openings.RESTIC_KEYS)
    config = _read(store, openings.RESTIC_CONFIG)
    failed = openings.Closed("restic's repository has no beginning")
    for key in keys:
        try:
            openings.restic(kit.keys.restic, key, config[0] if config else b"")
        except openings.Closed as error:
            failed = error
        else:
            return True
    if keys:
        raise failed
    return False


def _pgbackrest(store: bucket.Bucket, kit: Kit) -> bool:
    """Whether there is one. Raises Closed."""
    found = _read(store, openings.PGBACKREST_INFO)
    for info in found[:1]:
        openings.pgbackrest(kit.keys.pgbackrest, info)
    return found != []


def _read(store: bucket.Bucket, prefix: str) -> list[bytes]:
    with bucket.foreseen(store.place, f"reading {prefix}"):
        return [store.get(name) for name in store.keys(prefix)]


def _warn(line: str) -> None:
    host().log_styled(f"backup: {line}", fg="yellow", log_func=logger.warning)

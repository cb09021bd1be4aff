"""Vault: running, initialised once, unsealed.

The result of the initialisation is stored on this machine before the first unseal. The root token
lives until the deployer's own AppRole exists; then it is revoked and forgotten.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from pyinfra.api import StringCommand

from tasks import boot, recover
from tasks.clients import recovery, vault_kept, vault_session
from tasks.clients import vault_answers as answers
from tasks.clients.lazily import lazily
from tasks.clients.vault_kept import Kept, keep, kept
from tasks.clients.vault_session import foreseen
from tasks.connection.drafts import note
from tasks.facts import DockerFact
from tasks.model.catalogue import Service
from tasks.model.effects import Lost
from tasks.model.shapes import shaped
from tasks.model.targets import target
from tasks.operations import bucket_secrets, containers, rollout, vault_policies
from tasks.operations.described import digests, mounted
from tasks.rendering import docker_calls
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack, step

if TYPE_CHECKING:
    import hvac
else:
    hvac = lazily("hvac")


def run() -> None:
    """The phase. An external Vault has no container here, and its policies are its owner's."""
    for service in services():
        if service.phase == "vault":
            recover.announced()
            containers.start(
                service, digests(service), mounted(service), name=f"Vault | {service.title} runs and answers"
            )
            ready(service, name="Vault | initialised and unsealed")
            vault_policies.configured(name="Vault | mounts, policies and roles")
    if stack().backup:
        bucket_secrets.handed(
            recovering=recover.wanted(), name="Vault | what opens the bucket, and takes its own snapshots"
        )


@operation
def ready(service: Service) -> Commands:
    """Initialises an empty Vault, unseals a sealed one.

    A run that ended between the initialisation and its answer has left a Vault that nobody can ever have
    unsealed, and so an empty one: only that one is thrown away and made anew.
    """
    if not executing() and "vault" not in known(DockerFact).containers:
        yield "true"  # planning on a host without Vault: it will be initialised
        return
    client = vault_session.client()
    if recover.wanted():
        yield from recover.vault()
    health = _health(client)
    if _nobody_has_its_keys(service, sealed=health == _SEALED):
        volumes = ", ".join(volume.name for volume in service.main.volumes)
        note(
            Lost(
                f"volume {volumes}: of a Vault that nobody has ever unsealed, since the answer with its keys never came"
            )
        )
        yield StringCommand(_start_anew(service))
        health = _NEW
    if health == _NEW:
        _refuse_a_lost_volume()
    if health in (_NEW, _SEALED):
        yield from boot.out_of_the_way(new=health == _NEW)
        if health == _NEW:
            yield step(partial(_initialise, client))
        if vault_kept.fresh() and recovery.due():
            # From the first unseal on all secrets hang on these keys: the bucket has to have them by then.
            yield step(recovery.put)
        yield step(partial(_unseal, client))


# What /sys/health answers with. A raft node that was unsealed elects itself first and refuses every request until then.
_ELECTING, _NEW, _SEALED = 429, 501, 503


def _health(client: hvac.Client) -> int:
    """How Vault is once it has settled: a host that unseals it by itself gets 10 s for that."""
    with foreseen("asking for its health"):
        for tries in count():
            health = int(client.sys.read_health_status(method="HEAD").status_code)
            patience = 600 if health == _ELECTING else 100 if health == _SEALED and boot.stands() else 0
            if not executing() or tries >= patience:
                break
            time.sleep(0.1)
    if executing() and health == _ELECTING:
        raise Refused(
            f"Vault on {host().name} is unsealed but does not become active; see `docker logs vault`"
        )
    return health


_ASKED = Kept(asked=True)


def _nobody_has_its_keys(service: Service, *, sealed: bool) -> bool:
    """Our own note says that the answer never came, no secret of it has ever reached the host, and its volume was not
    somebody else's before.
    """
    found = known(DockerFact)
    theirs = {f"volume:{volume.name}" for volume in service.main.volumes} & found.adopted
    return kept() == _ASKED and sealed and not found.env_digests and not theirs


def _start_anew(service: Service) -> str:
    compose = docker_calls.compose(service.name)
    volumes = " ".join(volume.name for volume in service.main.volumes)
    start = rollout.start_script(service, host().name)
    return f"{compose} rm --stop --force && docker volume rm {volumes}\n{start}"


def _refuse_a_lost_volume() -> None:
    if os.environ.get("VAULT_ROLE_ID") and kept() is None:
        raise Refused(
            f"Vault on {host().name} is empty, and VAULT_ROLE_ID says that this machine has a credential alone: a new Vault's keys "
            f"would be lost with it. Restore the volume vault_data, or unset VAULT_ROLE_ID where the keys are to stay: {target('deploy')}"
        )
    if kept() not in (None, _ASKED):
        raise Refused(
            f"Vault on {host().name} is empty, but {vault_kept.state_file()} holds keys of it: its volume "
            "vault_data is lost. Restore the volume, or move that file away to begin with new secrets"
        )


def _initialise(client: hvac.Client) -> None:
    keep(_ASKED)
    with foreseen("initialising"):
        made = client.sys.initialize(stack().vault_shares, stack().vault_threshold)
        result = shaped(answers.Keys, made)
    keep(Kept(keys=tuple(result["keys_base64"]), root_token=result["root_token"]))


def _opened(client: hvac.Client, keys: Sequence[str]) -> bool:
    """Whether these have unsealed it. The last of a set that does not fit is refused."""
    with suppress(hvac.exceptions.InvalidRequest):
        said = client.sys.submit_unseal_keys(list(keys))
        return not shaped(answers.Seal, said)["sealed"]
    return False


def _unseal(client: hvac.Client) -> None:
    stored = kept()
    if not stored or not stored.keys:
        raise Refused(vault_session.lost_state())
    with foreseen("unsealing"):
        if not any(_opened(client, keys) for keys in (stored.keys, stored.other_keys) if keys):
            raise Refused(f"Vault on {host().name} stays sealed: {vault_kept.state_file()} holds other keys")
    _health(client)

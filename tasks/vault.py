"""Vault: running, initialised once, unsealed.

The result of the initialisation is stored on this machine before the first unseal. The root token
lives until the deployer's own AppRole exists; then it is revoked and forgotten.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from pyinfra.api import StringCommand

from tasks import render, vault_policies, vault_session
from tasks.catalogue import Service
from tasks.facts import DockerFact
from tasks.generation import digests, mounted
from tasks.operations import containers
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack, step
from tasks.vault_session import Kept, foreseen, keep, kept

if TYPE_CHECKING:
    import hvac


def run() -> None:
    """The phase. An external Vault has no container here, and its policies are its owner's."""
    for service in services():
        if service.phase == "vault":
            containers.start(
                service, digests(service), mounted(service), name=f"Vault | {service.title} runs and answers"
            )
            ready(service, name="Vault | initialised and unsealed")
            vault_policies.configured(name="Vault | mounts, policies and roles")


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
    with foreseen("asking for the seal status"):
        status = client.sys.read_seal_status()
    if status["initialized"] and _nobody_has_its_keys(sealed=status["sealed"]):
        yield StringCommand(_start_anew(service))
        status = {"initialized": False}
    if not status["initialized"]:
        _refuse_a_lost_volume()
        yield step(partial(_initialise, client))
    if not status["initialized"] or status["sealed"]:
        yield step(partial(_unseal, client))


_ASKED = Kept(asked=True)


def _nobody_has_its_keys(*, sealed: bool) -> bool:
    """Our own note says that the answer never came, and no secret of it has ever reached the host."""
    return kept() == _ASKED and sealed and not known(DockerFact).env_digests


def _start_anew(service: Service) -> str:
    compose = f"docker compose -f /root/{render.compose_path(service)}"
    volumes = " ".join(volume.name for volume in service.main.volumes)
    start = containers.start_script(service, host().name, recreate=False)
    return f"{compose} rm --stop --force && docker volume rm {volumes}\n{start}"


def _refuse_a_lost_volume() -> None:
    if kept() not in (None, _ASKED):
        raise Refused(
            f"Vault on {host().name} is empty, but {vault_session.state_file()} holds keys of it: its volume "
            "vault_data is lost. Restore the volume, or move that file away to begin with new secrets"
        )


def _initialise(client: hvac.Client) -> None:
    keep(_ASKED)
    with foreseen("initialising"):
        result = client.sys.initialize(stack().vault_shares, stack().vault_threshold)
    keep(Kept(keys=tuple(result["keys_base64"]), root_token=result["root_token"]))


def _unseal(client: hvac.Client) -> None:
    stored = kept()
    if not stored or not stored.keys:
        raise Refused(vault_session.lost_state())
    with foreseen("unsealing"):
        status = client.sys.submit_unseal_keys(list(stored.keys[: stack().vault_threshold]))
        if status["sealed"]:
            raise Refused(
                f"Vault on {host().name} stays sealed: {vault_session.state_file()} holds other keys"
            )
        _wait_until_active(client)


def _wait_until_active(client: hvac.Client) -> None:
    """After the unseal a raft node elects itself first; until then every request is refused."""
    for _ in range(600):
        if client.sys.read_health_status(method="HEAD").status_code == 200:
            return
        time.sleep(0.1)
    raise Refused(f"Vault on {host().name} is unsealed but does not become active; see `docker logs vault`")

"""Vault: running, initialised once, unsealed, with one policy and one AppRole per service.

The result of the initialisation is stored on this machine before the first unseal. The root token
lives until the deployer's own AppRole exists; then it is revoked and forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pyinfra.api import StringCommand
from pyinfra.api.command import FunctionCommand

from tasks import render, vault_session
from tasks.catalogue import Service
from tasks.facts import DockerFact
from tasks.generation import digests
from tasks.lazily import lazily
from tasks.operations import containers
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack, step, together
from tasks.vault_session import DEPLOYER, Kept, foreseen, keep, kept

if TYPE_CHECKING:
    import hvac
else:
    hvac = lazily("hvac")

# What a later run has to do: read and fill secrets, keep policies and roles as described. No delete,
# no mounts, no audit, no tokens; policies are limited to names of ours by their prefix.
_DEPLOYER_POLICY = """
path "{mount}/data/*" {{ capabilities = ["create", "read", "update"] }}
path "{mount}/metadata/*" {{ capabilities = ["list", "read"] }}
path "sys/policies/acl/smarteros-*" {{ capabilities = ["create", "read", "update"] }}
path "auth/approle/role" {{ capabilities = ["list"] }}
path "auth/approle/role/+" {{ capabilities = ["create", "read", "update"] }}
path "auth/approle/role/+/role-id" {{ capabilities = ["read"] }}
path "auth/approle/role/+/secret-id" {{ capabilities = ["update"] }}
"""
# Its own secrets; and, since the default policy is not granted, what vault-auth-validator and a log-out need.
_SERVICE_POLICY = """
path "{mount}/data/{name}" {{ capabilities = ["read"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
path "auth/token/revoke-self" {{ capabilities = ["update"] }}
"""
_ROLE = {"token_ttl": 1200, "token_max_ttl": 3600, "token_no_default_policy": True}


def run() -> None:
    """The phase. An external Vault has no container here, and its policies are its owner's."""
    for service in services():
        if service.phase == "vault":
            containers.start(service, digests(service), name=f"Vault | {service.title} runs and answers")
            ready(service, name="Vault | initialised and unsealed")
            configured(name="Vault | mounts, policies and roles")


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


@operation
def configured() -> Commands:
    """The KV mount, audit, AppRole, one policy and role per service; with root once, as the deployer later."""
    stored = kept()
    if not executing() and not (stored and stored.role_id):
        yield "true"  # planning before the first run
        return
    if stored and not stored.role_id:
        yield step(_bootstrap)
    client = vault_session.deployer()
    yield from _differences(client)
    stored = kept()
    if stored and stored.root_token:
        yield step(_revoke_root)


def _bootstrap() -> None:
    """With the root token: what only root can do. Repeatable, since a run can end in the middle of it."""
    stored = kept() or Kept()
    client = vault_session.client()
    client.token = stored.root_token
    with foreseen("setting Vault up"):
        mounts, auth = client.sys.list_mounted_secrets_engines(), client.sys.list_auth_methods()
        if f"{stack().vault_mount}/" not in mounts:
            client.sys.enable_secrets_engine("kv", stack().vault_mount, options={"version": "2"})
        if "approle/" not in auth:
            client.sys.enable_auth_method("approle")
        if stack().vault_engine == "vault" and "stdout/" not in client.sys.list_enabled_audit_devices():
            client.sys.enable_audit_device("file", path="stdout", options={"file_path": "stdout"})
        client.sys.create_or_update_acl_policy(DEPLOYER, _deployer_policy())
        client.auth.approle.create_or_update_approle(DEPLOYER, token_policies=[DEPLOYER], **_ROLE)
        role_id = client.auth.approle.read_role_id(DEPLOYER)["data"]["role_id"]
        secret_id = client.auth.approle.generate_secret_id(DEPLOYER)["data"]["secret_id"]
    keep(replace(stored, role_id=role_id, secret_id=secret_id))


def _deployer_policy() -> str:
    return _DEPLOYER_POLICY.format(mount=stack().vault_mount)


def _differences(client: hvac.Client) -> Iterator[FunctionCommand]:
    """Policies and roles that are not as described, all read at once."""
    names = [service.name for service in services()]
    policies = together(*(partial(_policy, client, f"smarteros-{name}") for name in names))
    roles = together(*(partial(_role, client, name, _role_of(name)) for name in names))
    for name, policy, role in zip(names, policies, roles, strict=True):
        described = _SERVICE_POLICY.format(mount=stack().vault_mount, name=name)
        if policy != described:
            yield step(partial(_write_policy, client, f"smarteros-{name}", described))
        if role != _role_of(name):
            yield step(partial(_write_role, client, name, _role_of(name)))


def _role_of(name: str) -> dict[str, Any]:
    return {"token_policies": [f"smarteros-{name}"], **_ROLE}


def _policy(client: hvac.Client, name: str) -> str:
    with foreseen(f"reading the policy {name}"):
        try:
            return str(client.sys.read_acl_policy(name)["data"]["policy"])
        except hvac.exceptions.InvalidPath:
            return ""


def _role(client: hvac.Client, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    with foreseen(f"reading the AppRole {name}"):
        try:
            found = client.auth.approle.read_role(name)["data"]
        except hvac.exceptions.InvalidPath:
            return {}
    return {key: found.get(key) for key in wanted}


def _write_policy(client: hvac.Client, name: str, policy: str) -> None:
    with foreseen(f"writing the policy {name}"):
        client.sys.create_or_update_acl_policy(name, policy)


def _write_role(client: hvac.Client, name: str, wanted: dict[str, Any]) -> None:
    with foreseen(f"writing the AppRole {name}"):
        client.auth.approle.create_or_update_approle(name, **wanted)


def _revoke_root() -> None:
    stored = kept() or Kept()
    client = vault_session.client()
    client.token = stored.root_token
    with (
        foreseen("revoking the root token"),
        suppress(hvac.exceptions.Forbidden),
    ):  # a killed run had revoked it already
        client.auth.token.revoke_self()
    keep(replace(stored, root_token=""))

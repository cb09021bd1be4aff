"""Vault's inside: the mount, audit, and one policy and one AppRole per service that reads only its own path.

With the root token once, for what only root can do; with the deployer's own AppRole from then on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import FunctionCommand

from tasks.clients import vault_access, vault_keys, vault_session
from tasks.clients import vault_answers as answers
from tasks.clients.lazily import lazily
from tasks.clients.vault_kept import Kept, keep, kept
from tasks.clients.vault_session import CHECKER, DEPLOYER, GUARD, GUARD_HOURS, MINUTE, foreseen
from tasks.model.catalogue import Service
from tasks.model.given import given
from tasks.model.shapes import shaped
from tasks.run import Commands, operation, services, stack, step, together

if TYPE_CHECKING:
    import hvac
else:
    hvac = lazily("hvac")

# What a later run has to do: read and fill secrets, keep policies and roles as described. No delete,
# no mounts, no audit, no tokens; policies are limited to names of ours by their prefix. What a rotation does: its own
# secret ids, and new unseal keys, for which Vault wants those of before as well.
_DEPLOYER_POLICY = """
path "{mount}/data/*" {{ capabilities = ["create", "read", "update"] }}
path "{mount}/metadata/*" {{ capabilities = ["list", "read"] }}
path "sys/policies/acl/smarteros-*" {{ capabilities = ["create", "read", "update"] }}
path "auth/approle/role" {{ capabilities = ["list"] }}
path "auth/approle/role/+" {{ capabilities = ["create", "read", "update"] }}
path "auth/approle/role/+/role-id" {{ capabilities = ["read"] }}
path "auth/approle/role/+/secret-id" {{ capabilities = ["update"] }}
path "auth/approle/role/{deployer}/secret-id" {{ capabilities = ["list", "update"] }}
path "auth/approle/role/{deployer}/secret-id-accessor/destroy" {{ capabilities = ["update"] }}
path "auth/approle/role/{deployer}/secret-id/lookup" {{ capabilities = ["update"] }}
path "sys/{rekey}/*" {{ capabilities = ["create", "read", "update", "delete"] }}
"""
# Its own secrets; and, since the default policy is not granted, what vault-auth-validator and a log-out need.
_SERVICE_POLICY = """
path "{mount}/data/{name}" {{ capabilities = ["read"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
path "auth/token/revoke-self" {{ capabilities = ["update"] }}
"""
# What it shares with others and a person has given, like the mail server's password.
_SHARED_POLICY = """path "{mount}/data/{name}" {{ capabilities = ["read"] }}
"""
# Whoever checks the host, and whoever comes to guarded pages: a token that opens them, and is good for nothing else.
_OPENING_POLICY = """
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
"""
_PATIENCE = 600  # tenths of a second: a busy host's Vault took one of them
_ROLE = {"token_ttl": 1200, "token_max_ttl": 3600, "token_no_default_policy": True}


@operation
def configured() -> Commands:
    """The KV mount, audit, AppRole, one policy and role per service; with root once, as the deployer later."""
    if vault_access.out_of_reach():
        yield "true"  # planning on a host whose Vault cannot be asked yet
        return
    stored = kept()
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
        mounts = shaped(answers.Data, client.sys.list_mounted_secrets_engines())["data"]
        auth = shaped(answers.Data, client.sys.list_auth_methods())["data"]
        if f"{stack().vault_mount}/" not in mounts:
            client.sys.enable_secrets_engine("kv", stack().vault_mount, options={"version": "2"})
        _wait_until_it_serves(client)
        if "approle/" not in auth:
            client.sys.enable_auth_method("approle")
        audit = shaped(answers.Data, client.sys.list_enabled_audit_devices())["data"]
        if stack().vault_engine == "vault" and "stdout/" not in audit:
            client.sys.enable_audit_device("file", path="stdout", options={"file_path": "stdout"})
        client.sys.create_or_update_acl_policy(DEPLOYER, _deployer_policy())
        client.auth.approle.create_or_update_approle(DEPLOYER, token_policies=[DEPLOYER], **_ROLE)
        role_id = shaped(answers.RoleId, client.auth.approle.read_role_id(DEPLOYER))["data"]["role_id"]
        made = shaped(answers.SecretId, client.auth.approle.generate_secret_id(DEPLOYER))
        secret_id = made["data"]["secret_id"]
    keep(replace(stored, role_id=role_id, secret_id=secret_id))


def _wait_until_it_serves(client: hvac.Client) -> None:
    """KV v2 prepares its storage after the mount was made, and answers every request with 400 until it has."""
    for tries in count():
        try:
            client.secrets.kv.v2.read_configuration(stack().vault_mount)
        except hvac.exceptions.InvalidRequest:
            if tries >= _PATIENCE:
                raise
            time.sleep(0.1)
        else:
            return


def _deployer_policy() -> str:
    return _DEPLOYER_POLICY.format(
        mount=stack().vault_mount, deployer=DEPLOYER, rekey=vault_keys.PATHS[stack().vault_engine]
    )


def _differences(client: hvac.Client) -> Iterator[FunctionCommand]:
    """Policies and roles that are not as described, all read at once."""
    wanted = list(_described())
    policies = together(*(partial(_policy, client, name) for _, name, _, _ in wanted))
    roles = together(*(partial(_role, client, approle, said) for approle, _, _, said in wanted))
    for (approle, name, text, said), policy, role in zip(wanted, policies, roles, strict=True):
        if policy != text:
            yield step(partial(_write_policy, client, name, text))
        if role != said:
            yield step(partial(_write_role, client, approle, said))


def _described() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Each AppRole with its policy's name and text, and what the role itself says; the deployer's own is that of this version."""
    yield DEPLOYER, DEPLOYER, _deployer_policy(), {"token_policies": [DEPLOYER], **_ROLE}
    for service in services():
        name = f"smarteros-{service.name}"
        yield service.name, name, _service_policy(service), {"token_policies": [name], **_ROLE}
    for name, seconds in ((CHECKER, MINUTE), (GUARD, GUARD_HOURS * 3600)):
        lifetime = {"token_ttl": seconds, "token_max_ttl": seconds, "secret_id_num_uses": 1}
        yield name, name, _OPENING_POLICY, {"token_policies": [name], **_ROLE, **lifetime}


def _service_policy(service: Service) -> str:
    shared = (path for path, _ in given([service]) if path != service.name)
    readable = "".join(_SHARED_POLICY.format(mount=stack().vault_mount, name=path) for path in shared)
    return _SERVICE_POLICY.format(mount=stack().vault_mount, name=service.name) + readable + service.policy


def _policy(client: hvac.Client, name: str) -> str:
    with foreseen(f"reading the policy {name}"):
        try:
            return shaped(answers.Policy, client.sys.read_acl_policy(name))["data"]["policy"]
        except hvac.exceptions.InvalidPath as error:
            answers.absent(error)
            return ""


def _role(client: hvac.Client, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    with foreseen(f"reading the AppRole {name}"):
        try:
            found = shaped(answers.Data, client.auth.approle.read_role(name))["data"]
        except hvac.exceptions.InvalidPath as error:
            answers.absent(error)
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

"""Dokploy: what its database has to hold. Every stack file is registered as a raw compose project, which deploys nothing;
its nightly clean-up of the host is off; its owners may sign in under each of its domains, and its links lead to the first.

Dokploy would start a stack under a project name of its own, beside the containers that run already; so the
entries are there to be seen and compared, and to be deployed from by hand after our containers are removed.
An entry is ours by its description. One whose description a person changes is theirs from then on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tasks.clients import dokploy_api, vault_session, vault_values
from tasks.facts.dokploy import MARKER, PROJECT, DokployState, Entry
from tasks.model.targets import target
from tasks.operations import origins, postgres
from tasks.operations.described import tree
from tasks.rendering import render
from tasks.run import Commands, Refused, executing, host, operation, services, stack, step

# Beside the service's own path, all of which its container gets: a new key must not make a new container.
PATH = "dokploy-import"
_SOURCE, _KIND = "raw", "docker-compose"


@dataclass(frozen=True)
class Stored:
    """What Vault holds at PATH. A key that a person has put there comes without an id."""

    values: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0

    def holds(self, state: DokployState) -> bool:
        """Whether there is a key that Dokploy still knows, as far as can be seen without trying it."""
        known_id = self.values.get("API_KEY_ID")
        return bool(self.values.get("API_KEY")) and (known_id is None or known_id in state.keys)


@dataclass(frozen=True)
class Change:
    """One call of Dokploy's API, and what it is for."""

    why: str
    procedure: str
    fields: Mapping[str, Any]


def run() -> None:
    """The phase; nothing when Dokploy is not among the services."""
    for service in services():
        if service.name == "dokploy":
            origins.trusted(service, name="Dokploy | its owners may sign in under each of its domains")
            origins.addressed(service, name="Dokploy | its links lead to its domain")
            registered(name="Dokploy | stack files are registered, the nightly clean-up is off")


@operation
def registered() -> Commands:
    """An API key, a project, in it one entry for each stack file, no clean-up; only differences cost a request."""
    state = postgres.registered()
    if not executing() and not (state.address and _vault_answers()):
        yield "true"  # planning before Dokploy runs
        return
    if not state.address:
        raise Refused(
            "Dokploy's database cannot be read: see `docker logs dokploy` and `docker logs postgres`; "
            "an image of another version (overrides) may have other tables"
        )
    stored = Stored(*vault_session.read(PATH))
    planned = [*_kept_off(state), *changes(texts(), state.entries)]
    for change in planned:
        host().log(change.why)
    if not stored.holds(state):
        vault_values.writing()
    if planned or not state.environment or not stored.holds(state):
        yield step(partial(_apply, state, stored, planned))


def _kept_off(state: DokployState) -> Iterator[Change]:
    """It would take finished jobs, what a takeover has kept to be put back, and the operator's own that is stopped."""
    if state.cleanup:
        why = "its nightly clean-up of the host's Docker is on"
        yield Change(why, "settings.updateDockerCleanup", {"enableDockerCleanup": False})


def _vault_answers() -> bool:
    try:
        vault_session.deployer()
    except Refused:
        return False
    return True


def texts() -> dict[str, str]:
    """Service → its stack file. There is no secret in it: it names the env file below /vault/secrets."""
    return {service.name: tree()[render.compose_path(service)] for service in services() if not service.nodes}


def changes(wanted: Mapping[str, str], found: tuple[Entry, ...]) -> Iterator[Change]:
    """What makes the entries that are ours equal to the stack files. Pure."""
    owners = {_description(name): name for name in wanted}
    ours: dict[str, Entry] = {}
    for entry in found:
        name = owners.get(entry.description)
        if name is None or name in ours:
            why = f"{entry.name}: is registered twice" if name else f"{entry.name}: is no service any more"
            yield Change(why, "compose.delete", {"composeId": entry.id, "deleteVolumes": False})
        else:
            ours[name] = entry
    for name, text in wanted.items():
        fields = {"name": name, "composeType": _KIND, "sourceType": _SOURCE, "composeFile": text}
        if name not in ours:
            made = {**fields, "description": _description(name)}
            yield Change(f"{name}: is not registered", "compose.create", made)
        elif differing := _differences(name, text, ours[name]):
            why = f"{name}: its {' and '.join(differing)} differ{'' if len(differing) > 1 else 's'}"
            yield Change(why, "compose.update", {"composeId": ours[name].id, **fields})


def _description(name: str) -> str:
    return f"{MARKER}/root/dkcompose/{name}-deploy.yaml. Changes made here are undone by the next run."


def _differences(name: str, text: str, entry: Entry) -> list[str]:
    pairs = {
        "name": (entry.name, name),
        "file": (entry.digest, hashlib.sha256(text.encode()).hexdigest()),
        "source": (entry.source, _SOURCE),
        "type": (entry.kind, _KIND),
    }
    return [what for what, (have, want) in pairs.items() if have != want]


def _apply(state: DokployState, stored: Stored, planned: list[Change]) -> None:
    api = dokploy_api.Api(state.address)
    try:
        _authorise(api, state, stored)
        environment = state.environment or _new_project(api)
        for change in planned:
            more = {"environmentId": environment} if change.procedure == "compose.create" else {}
            api.post(change.procedure, **change.fields, **more)
    except (LookupError, TypeError):
        raise Refused(
            f"Dokploy on {host().name} answers otherwise than version 0.30 does: "
            "take its image out of overrides, or wait for a release that knows the new one"
        ) from None


def _new_project(api: dokploy_api.Api) -> str:
    text = "SmarterOS: the stack files of this host"
    return str(api.post("project.create", name=PROJECT, description=text)["environment"]["environmentId"])


def _authorise(api: dokploy_api.Api, state: DokployState, stored: Stored) -> None:
    """With the key in Vault while it works, whatever the owner's password is; else with a new one."""
    if stored.holds(state) and _works(api, str(stored.values["API_KEY"]).strip()):
        return
    key, key_id = _new_key(api, "does not work" if stored.values.get("API_KEY") else "is missing")
    vault_session.write(PATH, {**stored.values, "API_KEY": key, "API_KEY_ID": key_id}, stored.version)
    api.use_key(key)


def _works(api: dokploy_api.Api, key: str) -> bool:
    api.use_key(key)
    try:
        api.get("organization.all")
    except dokploy_api.Denied:
        return False
    return True


def _owner() -> str:
    return next(item.admin.login for item in services() if item.name == "dokploy" and item.admin)


def _new_key(api: dokploy_api.Api, problem: str) -> tuple[str, str]:
    """Made as the owner, without the limit of ten requests a day that is the default."""
    mount, email = stack().vault_mount, _owner()
    try:
        api.sign_in(email, vault_values.values("dokploy")["ADMIN_PASSWORD"])
        organization = api.get("organization.all")[0]["id"]
    except dokploy_api.Denied:
        raise Refused(
            f"{mount}/{PATH}#API_KEY {problem}, and Dokploy on {host().name} does not let {email} in with "
            f"{mount}/dokploy#ADMIN_PASSWORD: somebody has changed the password or asked for a second factor. "
            "Make an API key in Dokploy (Settings, Profile; without a rate limit), and store it: "
            f"{target(f'give-secrets NAME={PATH}#API_KEY')}"
        ) from None
    metadata = {"organizationId": organization}
    made = api.post("user.createApiKey", name=PROJECT, rateLimitEnabled=False, metadata=metadata)
    return str(made["key"]), str(made["id"])

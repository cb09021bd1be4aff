"""State: all that a deploy leaves on a host, in one reading, and how two of them differ."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import requests

from tests.e2e.clients import containers
from tests.e2e.deployment import Deployment
from tests.e2e.vault_access import Vault, kept, opened

_LOOK = Path(__file__).with_name("look.sh")

# What these hold is each host's own: only that they are there, and whose they are, is compared between hosts.
_OWN = re.compile(
    r"/etc/(ssh/ssh_host_.*|host(s|name)|machine-id|resolv\.conf|\.updated|\.pwd\.lock|ld\.so\.cache"
    # Numbers of users and groups depend on the order in which packages came; the names are compared.
    r"|(passwd|group|shadow|gshadow|subuid|subgid)-?"
    r"|credstore\.encrypted/.*)"
    r"|/vault/secrets/.*|/root/GENERATED-SECRETS-.*"
)


@dataclass(frozen=True)
class State:
    """described: what has to be the same on every host with these settings. own: this host's secrets and volumes,
    which no run may change. Both: what → how it is.
    """

    described: Mapping[str, str]
    own: Mapping[str, str]


def read(deployment: Deployment) -> State:
    """The host as it is now; all of it has to be at work."""
    rows = [line.split("\t", 2) for line in _looked(deployment)]
    described = {
        f"{kind} {name}": value
        for kind, name, value in rows
        if kind != "volume" and not (kind == "hash" and _OWN.fullmatch(name))
    }
    described |= dict(_containers(deployment))
    own = {
        f"{kind} {name}": value
        for kind, name, value in rows
        if kind == "volume" or (kind == "hash" and name.startswith("/vault/secrets/"))
    }
    with opened(deployment) as vault:
        described |= dict(_rules(vault))
        own |= _secrets(vault)
    own |= {f"unseal key {number}": _hash(key) for number, key in enumerate(kept(deployment)["keys"])}
    # A run that finds a container removed names it; a volume is named here, too, to be found by others.
    described |= {name: "there" for name in own if name.startswith("volume")}
    return State(described, own)


def secrets(deployment: Deployment) -> dict[str, str]:
    """What Vault holds so far, hashed; nothing while nobody can log in there."""
    try:
        if not kept(deployment)["secret_id"]:
            return {}
        with opened(deployment) as vault:
            return _secrets(vault)
    except (FileNotFoundError, TimeoutError, hvac.exceptions.VaultError, requests.RequestException):
        return {}


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """One line for each difference, in order."""
    names = sorted({*expected, *found})
    return [
        f"{name}: {expected.get(name, 'not there')} → {found.get(name, 'not there')}"
        for name in names
        if expected.get(name) != found.get(name)
    ]


def lost(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What has changed or gone; more may have come."""
    return differences(before, {name: value for name, value in after.items() if name in before})


def _looked(deployment: Deployment) -> list[str]:
    return deployment.host.run(_LOOK.read_text()).stdout.splitlines()


def _containers(deployment: Deployment) -> Iterator[tuple[str, str]]:
    for name, item in containers(deployment).items():
        labels = {
            key: value for key, value in item["Config"]["Labels"].items() if key.startswith("smarteros")
        }
        state = item["State"]
        seen: dict[str, Any] = {
            "labels": labels,
            "image": item["Config"]["Image"],
            "networks": sorted(item["NetworkSettings"]["Networks"]),
            "mounts": sorted(f"{source(mount)} {mount['Destination']}" for mount in item["Mounts"]),
            "state": f"{state['Status']} {state.get('Health', {}).get('Status')} {state['ExitCode']}",
        }
        yield from ((f"container {name} {key}", json.dumps(value)) for key, value in seen.items())


def source(mount: Mapping[str, Any]) -> str:
    """What a container sees there. Names that nobody has chosen are left out: that of a volume which an image asks
    for, and that of a generation, which a run that was killed has made already and the next one makes again.
    """
    if name := mount.get("Name"):
        return re.sub(r"[0-9a-f]{64}", "…", str(name))
    return re.sub(r"(?<=/generations/)[^/]+", "…", str(mount["Source"]))


def _rules(vault: Vault) -> Iterator[tuple[str, str]]:
    client = vault.client
    for name in client.auth.approle.list_roles()["data"]["keys"]:
        yield f"AppRole {name}", json.dumps(client.auth.approle.read_role(name)["data"], sort_keys=True)
        policy = f"smarteros-{name.removeprefix('smarteros-')}"
        yield f"policy {policy}", client.sys.read_acl_policy(policy)["data"]["policy"]


def _secrets(vault: Vault) -> dict[str, str]:
    return {
        f"secret {path}#{name}": _hash(str(value))
        for path, (values, _) in vault.everything().items()
        for name, value in values.items()
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]

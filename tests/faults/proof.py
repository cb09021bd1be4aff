"""Proof: what has to hold after a run was killed: one more run reaches what a clean run reaches, the next changes nothing."""

import shutil
from collections.abc import Iterable
from typing import Any

from tests.e2e.deployment import Deployment
from tests.faults import state
from tests.faults.course import Point, killed
from tests.faults.state import State

# One service of each kind of work: files, secrets, databases, a first admin, an image that is built, the proxy.
LIGHT: dict[str, Any] = {
    "services": ["vault", "postgres", "redis", "metabase", "vault-auth-validator", "caddy"]
}
# Every container is made anew, Vault is unsealed, and both firewall and sshd change.
OTHER: dict[str, Any] = {
    **LIGHT,
    "timezone": "Europe/Madrid",
    "peers": ["203.0.113.7"],
    "login_users": ["root", "deploy"],
}

# Has something to do again, although it came to its end: images that are still on their way, and a change of
# firewall or sshd that the killed run could not prove.
AGAIN = {
    "Generation | missing images start to arrive",
    "Firewall | an unproven change is taken back",
}


def ascending(deployment: Deployment, points: Iterable[Point], **settings: Any) -> State:
    """A chain of runs on one host, each killed at the next point.

    Each of them is the re-run after the kill before it, and goes through all earlier operations again: whatever an
    earlier run brought to its end must need no change now, so that one re-run has repaired what the kill left. No
    secret that was ever there may differ later. The last re-run is let through to the end.
    """
    done: set[str] = set()
    secrets: dict[str, str] = {}
    for point in points:
        run = killed(deployment, point, **settings)
        again = [name for name in run.changes if name in done - AGAIN]
        assert again == [], f"{point}: done before, and again: {again}\n{run.text}"
        done |= {run.begun[number] for number in run.ended}
        found = state.secrets(deployment)
        changed = state.lost(secrets, found) if found else []
        assert changed == [], f"{point}: {changed}"
        secrets |= found
        print(f"killed {point}", flush=True)
    return converges(deployment, secrets=secrets, **settings)


def converges(deployment: Deployment, *, secrets: dict[str, str] | None = None, **settings: Any) -> State:
    """One run goes through, the next changes nothing; the host as it is then, with these secrets unchanged."""
    deployment.converge(**settings)
    found = state.read(deployment)
    changed = state.lost(secrets or {}, found.own)
    assert changed == [], "\n".join(changed)
    deployment.unchanged(**settings)
    return found


def remove(deployment: Deployment) -> None:
    """The host is gone, and what this machine keeps of its Vault."""
    deployment.lab.remove_host(deployment.host.name)
    shutil.rmtree(deployment.lab.state.folder / "state" / deployment.host.name, ignore_errors=True)


def same(clean: State, found: State) -> None:
    """As a clean run leaves it; the host's secrets and volumes are its own."""
    differing = state.differences(clean.described, found.described)
    assert differing == [], "\n".join(differing)


def recovers(deployment: Deployment, point: Point, before: State, clean: State, **settings: Any) -> None:
    """An update that is killed there, then made again: as a clean one, secrets and volumes as before."""
    killed(deployment, point, **settings)
    found = converges(deployment, **settings)
    same(clean, found)
    differing = state.differences(before.own, found.own)
    assert differing == [], "\n".join(differing)

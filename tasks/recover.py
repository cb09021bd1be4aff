"""Recover: on a new host everything comes out of the bucket before its service starts for the first time.

Only where the command asks for it (tasks/commands/recover.py): then the deploy that follows finds a host that was there before.
"""

import os
from collections.abc import Iterator

from pyinfra.api import StringCommand

from tasks.clients import kit
from tasks.facts import DockerFact, MachineFact, RecoveringFact
from tasks.facts.recovering import NOTES
from tasks.model import envfile
from tasks.model.targets import target
from tasks.operations import images
from tasks.rendering.render import CURRENT, SECRETS
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack

# How large the databases are, in bytes.
CHOICE = "SMARTEROS_RECOVER"
_SCRIPT = f"{CURRENT}/restore/recover.sh"
_KEYS = f"{SECRETS}/backup.env"


def wanted() -> bool:
    """Whether this run is one that recovers."""
    return bool(os.environ.get(CHOICE)) and stack().backup is not None


def announced() -> None:
    """Before anything of ours is on the host: whatever becomes of this run, the next one knows that it may go on."""
    if wanted():
        begun(name="Recover | from the bucket")


@operation
def begun() -> Commands:
    """A note."""
    if not known(RecoveringFact):
        yield StringCommand(f"mkdir -p {NOTES} && touch {NOTES}/begin")


def run() -> None:
    """The phase. Vault, on which all secrets hang, came before (tasks/vault.py)."""
    if wanted():
        for part in _parts():
            recovered(part, name=f"Recover | {_TITLES[part]}")


def _done() -> frozenset[str]:
    """The notes; once the end has begun each part has come back, whether its own is still there or not."""
    found = known(RecoveringFact)
    return found | {"vault", *_TITLES} if "end" in found else found


def _parts() -> list[str]:
    names = {"files", *(service.name for service in services())}
    return [part for part in _TITLES if part in names]


def finished() -> None:
    """The last of it: nothing of this host is restored once more."""
    if wanted():
        recovered("end", name="Recover | this host is the one in the bucket now")


_TITLES = {
    "files": "files of every service",
    "redis": "what Redis held",
    "postgres": "all databases, up to the last second that the bucket has",
}


@operation
def recovered(part: str) -> Commands:
    """One of recover.sh's parts; nothing where it is done."""
    if known(RecoveringFact) and (part == "end" or part not in _done()):
        yield StringCommand(f"bash {_SCRIPT} {part}")


def refusals() -> Iterator[str]:
    """Why this host is not one to recover to: it holds what would be written over. Or not one to deploy to: not all is back yet."""
    if not wanted():
        yield from _half_recovered()
        return
    if known(RecoveringFact):
        return
    needed = int(os.environ[CHOICE]) * 13 // 10 >> 20 if os.environ[CHOICE].isdigit() else 0
    if known(MachineFact).disk_free_mb < needed:
        yield f"recover: too little disk: the databases take {needed} MB, and {known(MachineFact).disk_free_mb} MB are free"
    state = known(DockerFact)
    ours = {volume.name for service in services() for item in service.containers for volume in item.volumes}
    if there := sorted([*(ours & state.volumes.keys()), *state.containers]):
        yield (
            f"recover: {host().name} holds data already ({', '.join(there[:4])}): recover to a bare host, or bring services "
            f"back one by one ({target('restore')})"
        )


def _half_recovered() -> Iterator[str]:
    """A deploy would begin with nothing what has not come back, and the recovery could not put it there any more."""
    machine = known(MachineFact)
    if stack().backup is None or not machine.deployed or machine.backup:
        return
    done = _done()
    if done and not {"vault", *_parts()} <= done:
        yield f"recover: a recovery of {host().name} was cut short: end it first, by the same command as then ({target('recover')})"


def half_a_vault() -> bool:
    """Whether a run was cut short before Vault had its own keys again: until then it is opened with those that were thrown away."""
    done = _done() if wanted() else frozenset()
    return "vault.begun" in done and "vault" not in done


def vault() -> Commands:
    """Vault as its last snapshot has it, still sealed. What opens the bucket stands where Vault's secrets will, and nowhere else."""
    if not executing() or "vault" in _done():
        return
    held = kit.held()
    if held is None:
        raise Refused(f"{kit.file()} is not there: recover with the kit")
    container = next(item for each in services() if each.phase == "backup" for item in each.containers)
    keys = {
        "AWS_ACCESS_KEY_ID": held.access_key,
        "AWS_SECRET_ACCESS_KEY": held.secret_key,
        "RESTIC_PASSWORD": held.restic,
    }
    yield StringCommand(
        f"set -e\ninstall -d -m 700 /vault {SECRETS}\numask 077\ncat >{_KEYS}", _stdin=envfile.encode(keys)
    )
    yield StringCommand(f"set -e\n{images.wait(container)}\nbash {_SCRIPT} vault")

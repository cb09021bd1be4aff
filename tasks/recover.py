"""Recover: on a new host everything comes out of the bucket before its service starts for the first time.

As it was last, or at a time: then databases, files and what Redis held are as of then, Vault as its newest snapshot has it. Only
where the command asks for it (tasks/commands/recover.py): then the deploy that follows finds a host that was there before.
"""

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from shlex import join, quote

from pyinfra.api import StringCommand

from tasks.clients import kit
from tasks.facts import DockerFact, MachineFact, RecoveringFact
from tasks.facts.recovering import NOTES, RECOVER, RecoveredFact, SnapshotsFact
from tasks.facts.restorable import Snapshot
from tasks.model import envfile
from tasks.model.targets import target
from tasks.operations import images, reporting
from tasks.operations.restoring import Recovery, around, said
from tasks.rendering import restore_files
from tasks.rendering.render import SECRETS
from tasks.run import Commands, Refused, executing, host, known, operation, remember, services, stack

# What of the bucket it comes back from (Recovery, as JSON).
CHOICE = "SMARTEROS_RECOVER"
_KEYS = f"{SECRETS}/backup.env"
# Seconds that a bucket lets a clock be off.
_CLOCKS = 900


def wanted() -> bool:
    """Whether this run is one that recovers."""
    return bool(os.environ.get(CHOICE)) and stack().backup is not None


def _choice() -> Recovery:
    return Recovery(**json.loads(os.environ[CHOICE]))


def announced() -> None:
    """Before anything of ours is on the host: whatever becomes of this run, the next one knows that it may go on."""
    if wanted():
        begun(name="Recover | from the bucket")


@operation
def begun() -> Commands:
    """A note, and to which time."""
    if not known(RecoveringFact):
        to = quote(_choice().to)
        yield StringCommand(
            f"mkdir -p {NOTES} && echo {to} >{NOTES}/.begin && sync {NOTES}/.begin && mv {NOTES}/.begin {NOTES}/begin"
        )


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
    "postgres": "all databases",
}


@operation
def recovered(part: str) -> Commands:
    """One of recover.sh's parts; nothing where it is done."""
    if not known(RecoveringFact) or (part != "end" and part in _done()):
        return
    if not executing():
        yield "true"
        return
    if part == "end":
        told()
    yield StringCommand(join(["bash", RECOVER, part, *_PARTS.get(part, list)()]))


def _files() -> Iterator[str]:
    """How many bytes come back at most, and of which snapshots: the last by then, and where rows name files the first since as well."""
    named = (item.name for item in restore_files.restorable(stack(), services()) if item.places)
    found = {name: _around(name) for name in named}
    yield str(sum(taken.size for before, after in found.values() if (taken := before or after)))
    for name, (before, after) in found.items():
        yield f"{name}:{before.name if before else ''}:{after.name if after else ''}"


def _redis() -> Iterator[str]:
    before, _ = _around("redis")
    if before:
        yield before.name


def _around(name: str) -> tuple[Snapshot | None, Snapshot | None]:
    to = _choice().to
    return around(name, _snapshots(), datetime.fromisoformat(to).timestamp() if to else _newest())


def _snapshots() -> tuple[Snapshot, ...]:
    return remember("snapshots", lambda: known(SnapshotsFact))


def _newest() -> float:
    """Of a later time is what a host has sent whose clock was ahead; this machine's is not, or the bucket had not answered it."""
    return time.time() + _CLOCKS


def _postgres() -> Iterator[str]:
    """What pgBackRest is told."""
    choice = _choice()
    if choice.label:
        yield f"--set={choice.label}"
    if choice.to:
        yield from ("--type=time", f"--target={choice.to}", "--target-action=promote")
        yield f"--target-timeline={choice.line}"


_PARTS = {"files": _files, "redis": _redis, "postgres": _postgres}


def told() -> None:
    """What came back, what did not, and what is left to do."""
    if to := _choice().to:
        host().log(f"everything is as it was at {to}, but for Vault, which is as its newest snapshot has it")
    reporting.told("recovered", known(RecoveredFact))
    place = host().data.get("ssh_hostname") or host().name
    host().log(
        f"next: let the domains lead to {place}, and the old host never start again: two would write into one bucket"
    )
    host().log(
        f"next: {target('deploy')} is this host's from now on, until an inventory of yours has its settings; "
        f"{target('kit-check KIT=…')} proves each copy of the kit that you keep"
    )


def refusals() -> Iterator[str]:
    """Why this host is not one to recover to: it holds what would be written over. Or not one to deploy to: not all is back yet."""
    if not wanted():
        yield from _half_recovered()
        return
    if begun := known(RecoveringFact):
        then = next((line.removeprefix("to ") for line in begun if line.startswith("to ")), "")
        if then != _choice().to and "end" not in begun:
            how = f"with TO='{then}'" if then else "without TO"
            yield f"recover: a recovery to {then or 'the newest'} was cut short: end that first, {how}"
        return
    needed = _choice().size * 13 // 10 >> 20
    if known(MachineFact).disk_free_mb < needed:
        yield f"recover: too little disk: the databases take {needed} MB, and {known(MachineFact).disk_free_mb} MB are free"
    state = known(DockerFact)
    ours = {volume.name for service in services() for item in service.containers for volume in item.volumes}
    if there := sorted([*(ours & state.volumes.keys()), *state.containers]):
        yield (
            f"recover: {host().name} holds data already ({', '.join(there[:4])}): recover to a bare host, or bring services "
            f"back one by one ({target('restore SERVICE=… TO=…')})"
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
    return wanted() and "vault.begun" in _done() and "vault" not in _done()


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
    yield StringCommand(images.wait(container))
    taken, _ = around("vault", _snapshots(), _newest())
    if not taken:
        raise Refused("recover: the bucket has no snapshot of Vault, which has all secrets")
    host().log(f"Vault comes back as of {said(taken.time)}, with the secrets of then")
    yield StringCommand(join(["bash", RECOVER, "vault", taken.name]))

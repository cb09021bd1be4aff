"""Whether this machine can get into Vault, asked before the first change: its keys, its credential, its address."""

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from tasks.clients import vault_session
from tasks.clients.vault_kept import Kept, kept, state_file
from tasks.facts import MachineFact
from tasks.facts.leftovers import VaultGoneFact
from tasks.model.targets import target
from tasks.run import Refused, executing, host, known, stack
from tasks.services.vault import ENGINES


def refusals(*, running: bool, image: str = "", recovering: bool = False) -> Iterator[str]:
    """Why a run could not go on with Vault. running: whether the host has a Vault of ours that runs. image: of the one it has.
    recovering: whether this run brings its own.
    """
    other = "" if stack().vault_address else _engine(image)
    if other and other != stack().vault_engine:
        yield (
            f"vault_engine: {stack().vault_engine}, and this host's Vault is {other} ({image}): neither is known to start with the "
            f'other\'s data: set vault_engine = "{other}"'
        )
        return
    if stack().vault_address is None:
        yield from unfit(state_file().parent)
        if not (running or recovering):
            yield from _set_up_anew()
    if stack().vault_address or running:
        try:
            yield from _shut_out()
        except Refused as error:
            yield str(error)


def _set_up_anew() -> Iterator[str]:
    """Before the first change; a Vault that is empty later is refused by its phase."""
    if kept() in (None, Kept(asked=True)) or known(MachineFact).deployed or not known(VaultGoneFact):
        return
    back = (
        f"{target('recover')} brings all back from the bucket"
        if stack().backup
        else "restore its volume vault_data"
    )
    yield (
        f"{host().name} has no Vault, but {state_file()} holds the keys of one: if it was set up anew, {back}, or move that file "
        "away to begin with new secrets"
    )


def out_of_reach() -> bool:
    """True while planning on a host whose Vault cannot be asked yet."""
    if executing():
        return False
    try:
        vault_session.deployer()
    except Refused:
        return True
    return False


def _engine(image: str) -> str:
    """Which of the two an image is, wherever it comes from; empty where its name does not say so."""
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return name if name in ENGINES else ""


def _shut_out() -> Iterator[str]:
    """An empty Vault has nobody's keys yet, and a sealed one lets nobody in: there only the keys count."""
    stored = None if stack().vault_address else kept()
    if stored and not stored.role_id and (stored.asked or stored.root_token):
        return  # a first run has ended in the middle
    try:
        vault_session.deployer()
    except Refused as error:
        health = vault_session.UNSEALED if stack().vault_address else vault_session.health()
        if health == vault_session.UNSEALED:
            yield str(error)
        elif health == vault_session.SEALED and not (stored or Kept()).keys:
            yield vault_session.lost_state()


def warnings() -> Iterator[str]:
    """What the run goes on with."""
    address = urlsplit(stack().vault_address or "")
    if address.scheme == "http" and not _loopback(address.hostname or ""):
        yield (
            f"vault_address: {stack().vault_address} is not encrypted: whoever is on the way reads every secret and the "
            "credential; use https://"
        )


def _loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def unfit(folder: Path) -> Iterator[str]:
    """What is wrong with the folder, or with the nearest one above it that there is."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        yield f"state_dir: nothing can be stored in {there} on this machine: choose another folder, or make that one yours"
    elif there == folder and there.stat().st_mode & 0o022:
        yield f"state_dir: others may write into {there} on this machine, where Vault's keys are: chmod go-w {there}"

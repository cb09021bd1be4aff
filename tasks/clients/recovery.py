"""The sealed state: what this machine knows of a host and nobody can make again, in the bucket, for the kit alone to open.

It is settings, unseal keys and the deployer's credential, which package made the host, and of which images. What was stored
last is noted in state_dir by its digest, so that a run with nothing new asks nobody.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.clients import kit, state_dir, vault_kept
from tasks.clients.lazily import lazily
from tasks.facts import DockerFact, MachineFact
from tasks.model import image_names, settings
from tasks.model.shapes import parsed
from tasks.model.stack import Backup
from tasks.model.targets import target
from tasks.rendering.render import image
from tasks.rendering.templates import HOME
from tasks.run import Refused, host, known, remember, services, stack

if TYPE_CHECKING:
    from tasks.clients import bucket
else:
    bucket = lazily("tasks.clients.bucket")


@dataclass(frozen=True)
class Noted:
    """Digest of the state that was stored last; fingerprint of the kit that was seen to open everything."""

    stored: str = ""
    checked: str = ""


def place() -> str:
    """The state's own in the bucket."""
    return f"recovery/{host().name.lstrip('@')}/state"


def state() -> dict[str, Any]:
    """All of it, as `make recover` needs it on a machine that has the kit alone."""
    return {
        "format": 1,
        "host": host().name,
        "settings": given(),
        "state_dir": _kept(),
        "trusted_root": _text(stack().trusted_root),
        "package": remember("package", package),
        "images": _images(),
        "pins": dict(stack().pins or {}),
    }


def given() -> dict[str, Any]:
    """As they were read, files that they name by what is in them: what has no JSON was no setting."""
    found = settings.ours(host().data.dict())
    if found.get("acme_root"):
        found["acme_root"] = stack().acme_root
    if stack().backup:
        found["backup"] = {**found["backup"], "root": _backup().root}
    return found


def _kept() -> dict[str, str]:
    """Path below the host's folder in state_dir → text."""
    root = state_dir.folder()
    left_out = {_file(), *root.rglob("*.partial")}
    paths = [path for path in sorted(root.rglob("*")) if path.is_file() and path not in left_out]
    try:
        return {str(path.relative_to(root)): path.read_text("utf-8") for path in paths}
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"state_dir: {root} cannot be read, and so not be sealed: {error}") from None


def _text(path: str) -> str:
    try:
        return Path(path).expanduser().read_text("utf-8") if path else ""
    except (OSError, UnicodeDecodeError):
        return ""  # the verification says so


def package() -> dict[str, str]:
    """The version of this package, and its commit where it is a clone and this machine has git."""
    version = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    commit = ""
    with suppress(FileNotFoundError):
        asked = ["git", "-C", str(HOME), "rev-parse", "HEAD"]
        commit = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return {"version": str(version), "commit": commit}


def _images() -> dict[str, str]:
    """Reference → digest; empty where it is not there yet, or was built on the host."""
    digests = known(DockerFact).digests
    found = {image(container) for service in services() for container in service.containers}
    return {name: image_names.parted(name)[2] or digests.get(name, "") for name in sorted(found)}


def digest(text: bytes) -> str:
    """Of what would be stored, and of where and for whom; and since when: what a bucket that went back in time holds is older."""
    held = kit.held()
    where = (
        _backup().endpoint,
        _backup().bucket,
        place(),
        held.public if held else "",
        known(MachineFact).rewound,
    )
    return hashlib.sha256("\0".join(where).encode() + b"\0" + text).hexdigest()


def due() -> bool:
    """Whether the bucket lacks it as it is now."""
    return stack().backup is not None and noted().stored != digest(_encoded())


def put() -> None:
    """Seals and stores it, reads it back, and notes that. Raises Refused."""
    held, text = kit.held(), _encoded()
    if held is None:
        raise Refused(
            f"backup: {kit.file()} is not there, and so nothing can be sealed: {target('bucket KIT=…')} with the kit makes it again"
        )
    store = bucket.Bucket(_backup(), held.access_key, held.secret_key)
    box = kit.sealed(held.public, text)
    with bucket.foreseen(store.place, "storing the sealed state"):
        store.put(place(), box)
        # By which the host, which cannot open it, sees each night that it is as it was.
        store.put(f"{place()}.sha256", f"{hashlib.sha256(box).hexdigest()}\n".encode())
        if store.get(place()) != box:
            raise Refused(
                f"backup: the sealed state does not come back from {store.place.host} as it was stored"
            )
    note(replace(noted(), stored=digest(text)))


def refusals() -> Iterator[str]:
    """Before the first change of a first deploy: why Vault's keys could not go where they have to be, or would take the place
    of others.
    """
    held = kit.held()
    if stack().backup is None or stack().vault_address or held is None or not vault_kept.fresh():
        return
    store, found = bucket.Bucket(_backup(), held.access_key, held.secret_key), vault_kept.kept()
    try:
        with bucket.foreseen(store.place, "listing"):
            there = place() in store.keys(place())
    except Refused as error:
        yield str(error)
        return
    if there and not (found and found.keys):
        yield (
            f"backup.bucket: {store.place.bucket} holds the state of a {host().name} that was before, with its unseal keys, whose "
            "place a new Vault's would take: name another bucket to begin anew, and keep that one with its kit"
        )


def fetched(store: bucket.Bucket, private: bytes) -> dict[str, Any]:
    """What a kit's keys open of this host. Raises Refused."""
    with bucket.foreseen(store.place, "reading the sealed state"):
        if place() not in store.keys(place()):
            raise Refused(f"backup: {store.place.bucket} has no {place()} yet: {target('deploy')} stores it")
        box = store.get(place())
    return decoded(kit.opened(private, box))


def _encoded() -> bytes:
    try:
        return json.dumps(state(), sort_keys=True).encode()
    except (TypeError, ValueError) as error:
        raise Refused(f"backup: the settings cannot be stored ({error})") from None


def decoded(text: bytes) -> dict[str, Any]:
    """What `state` was. Raises Refused for that of another release."""
    found: dict[str, Any] = parsed(dict[str, Any], text.decode())
    if found.get("format") != 1:
        raise Refused("the sealed state is of another version of SmarterOS: use the one that stored it")
    return found


def _backup() -> Backup:
    found = stack().backup
    if found is None:
        raise Refused("backup: not set, so there is nowhere to store anything (README, Backups)")
    return found


def _file() -> Path:
    return state_dir.folder() / "recovery.json"


def noted() -> Noted:
    """What is known of it here; nothing where that cannot be read: then it is stored again."""
    try:
        return parsed(Noted, _file().read_text("utf-8"))
    except (OSError, ValueError):
        return Noted()


def note(value: Noted) -> None:
    """Stores that."""
    state_dir.store(_file(), asdict(value))

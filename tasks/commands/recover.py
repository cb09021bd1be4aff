"""Recover: a bare VPS and the kit → the host that was there before, with its secrets, logins, certificates and data.

``HOST=root@203.0.113.7 KIT=~/smarteros-kit.json python -m tasks.commands.recover``. TO="2026-11-26 19:59:49Z": as it was then. The kit opens the sealed state in the bucket: settings,
unseal keys and the deployer's credential come back to this machine, and a deploy with these settings brings the rest to the host
(tasks/recover.py). Nothing else is needed of the old host, or of the machine that deployed it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import recover
from tasks.clients import archive, recovery
from tasks.clients import kit as kits
from tasks.clients.archive import Archive
from tasks.clients.kit import Kit
from tasks.clients.lazily import lazily
from tasks.commands import trusting
from tasks.commands.answers import login_of, say
from tasks.commands.bucket import there
from tasks.commands.described import Described
from tasks.connection.exit_code import INTERRUPTED
from tasks.connection.said import Said
from tasks.operations import restoring
from tasks.run import Refused

if TYPE_CHECKING:
    from tasks.clients import bucket
else:
    bucket = lazily("tasks.clients.bucket")

# Where this machine keeps what it knows of hosts, when no setting says so.
_STATE = Path("~/.local/state/smarteros")
# Where ssh, and pyinfra with it, looks for the keys of hosts.
_KNOWN = Path("~/.ssh/known_hosts")
# A host that lives writes every 30 s; two of them would spoil each other's archive.
_YOUNG = 120
_STATE_OF = re.compile(r"recovery/([^/]+)/state")


def main() -> None:
    """Writes what it has found to this machine, and goes on as the deploy."""
    try:
        environment = prepared(os.environ.get("HOST", ""))
    except (Refused, Said) as error:
        sys.exit(f"recover: {error}")
    except KeyboardInterrupt:
        say("ended; the same command goes on where it was", "recover")
        sys.exit(INTERRUPTED)
    program = Path(sys.executable).with_name("pyinfra")
    os.execve(program, ["pyinfra", "-y", "inventories/recovered.py", "deploy.py"], environment)  # noqa: S606  a program of ours


def prepared(address: str) -> dict[str, str]:
    """The environment of the deploy. Raises Refused, Said before anything has changed."""
    login = login_of(address)
    to = os.environ.get("TO", "")
    time = restoring.moment(to) if to.strip() else None
    _, kit = there()
    store = bucket.Bucket(kit.backup, kit.access_key, kit.secret_key)
    state = _state(store, kit)
    found = archive.read(store, kit.keys.pgbackrest, time.timestamp() if time else None)
    choice = restoring.recovery(time, found)
    root = _STATE.expanduser()
    note = root / "recovered.json"
    if not os.environ.get("FORCE") and not _begun(note, state["host"], login):
        _alone(store, found)
    # Every secret goes there: a deploy by itself would take any key of a host that it does not know.
    trusting.noted(Described(address, login, {}, {}, _KNOWN.expanduser()), "recover")
    # The kit's key for the bucket counts: that of the lost host may have been stolen, and made anew.
    held = json.dumps(asdict(kits.held_of(kit)))
    _keep(root / state["host"].lstrip("@"), {**state["state_dir"], kits.FILE: held})
    trusted = root / f"{state['host'].lstrip('@')}.trusted.pem"
    settings = {**state["settings"], "state_dir": str(root), "trusted_root": ""}
    if state.get("trusted_root"):
        _write(trusted, state["trusted_root"])
        settings["trusted_root"] = str(trusted)
    if state.get("pins"):
        settings["_pins"] = state["pins"]
    _write(note, json.dumps({"name": state["host"], "data": {**settings, **login}}, indent=2))
    sys.stderr.write(
        f"recover: the settings of {state['host']} (made by {state['package']['version']}) are in {note}; from now on "
        "INVENTORY=inventories/recovered.py deploys with them, until they stand in an inventory of yours again\n"
    )
    return {**os.environ, recover.CHOICE: json.dumps(asdict(choice))}


def _state(store: bucket.Bucket, kit: Kit) -> dict[str, Any]:
    """That of the host. One that was renamed has left another under its old name: of states of the same Vault the newest counts."""
    place = f"{store.place.bucket} at {store.place.endpoint}"
    with bucket.foreseen(store.place, f"reading the sealed state in {store.place.bucket}"):
        listed = store.call("list_objects_v2", Prefix="recovery/").get("Contents", [])
        found = {item["Key"]: item["LastModified"] for item in listed if _STATE_OF.fullmatch(item["Key"])}
        boxes = [store.get(key) for key in sorted(found, key=found.__getitem__)]
    if not boxes:
        raise Refused(
            f"the bucket {place} holds no sealed state of a host: it is not that of a host that was deployed with backups"
        )
    states = [recovery.decoded(kits.opened(kit.keys.private, box)) for box in boxes]
    if len({_vault(state["state_dir"].get("vault.json", "{}")) for state in states}) > 1:
        names = ", ".join(str(state["host"]) for state in states)
        raise Refused(
            f"the bucket {place} holds sealed states of {len(states)} hosts with different Vaults ({names}, the newest last): one "
            "bucket is one host's; delete recovery/<name>/state of those that are not it, whose versions stay, and run this again"
        )
    if len(states) > 1:
        sys.stderr.write(
            f"recover: the host has had {len(states)} names; its state is the newest, of {states[-1]['host']}\n"
        )
    return states[-1]


def _vault(text: str) -> tuple[str, ...]:
    """Which one it is that this is known of: keys change, the deployer's role stays, and comes with the first deploy."""
    found = json.loads(text)
    return tuple([found["role_id"]] if found.get("role_id") else found.get("keys", []))


def _begun(note: Path, name: str, login: dict[str, Any]) -> bool:
    """Whether it was this command that has written to the bucket last, for the same VPS."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(note.read_text("utf-8"))
        return bool(found["name"] == name and found["data"]["ssh_hostname"] == login["ssh_hostname"])
    return False


def _alone(store: bucket.Bucket, found: Archive) -> None:
    """Raises Refused where somebody writes there, by the server's own clock."""
    if not found.newest:
        raise Refused(
            f"the bucket {store.place.bucket} holds nothing of Postgres, and so no host that could come back: is KIT that of the host that was lost?"
        )
    age = found.clock - found.newest
    if age < _YOUNG:
        raise Refused(
            f"the bucket {store.place.bucket} was written to {max(age, 0):.0f} s ago: the old host may still live, and two of them would spoil "
            f"each other's archive. Once it is off, run this again in {_YOUNG - max(age, 0):.0f} s; FORCE=1 where it cannot be the old host"
        )


def _keep(folder: Path, files: dict[str, str]) -> None:
    """What the old machine knew of the host; never over something else."""
    for name, text in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Refused(f"the sealed state names {name!r}, which is no file of a host")
        if name == "vault.json" and path.exists() and _vault(path.read_text("utf-8")) != _vault(text):
            raise Refused(
                f"{path} holds unseal keys of another Vault than the bucket's: move it away, if it is of no use any more"
            )
    for name, text in files.items():
        _write(folder / name, text)


def _write(path: Path, text: str) -> None:
    """Whole, or as it was: half of it would end each later run."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with os.fdopen(
        os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


if __name__ == "__main__":
    main()

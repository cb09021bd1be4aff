"""Update's note: beside the inventory, for as long as an update is under way, so that one that is cut short ends, whichever way it was at."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tasks.connection.memory import recall, remember
from tasks.model import pins
from tasks.model.targets import target
from tasks.run import Refused, host, stack

ON, BACK = "on", "back"
# What the command is told, and by which of its runs.
CHOICE, RUN = "SMARTEROS_SERVICE", "SMARTEROS_UPDATE"


@dataclass(frozen=True)
class Host:
    """One host of it. began: when the first run of it did, by its clock. point: to which second databases come back; 0 for none.
    data: services whose databases come back. restored: they have.
    """

    began: float = 0
    point: float = 0
    data: tuple[str, ...] = ()
    restored: bool = False


@dataclass(frozen=True)
class Note:
    """service: that was asked for. image: as the settings have it. old, new: tags. services: all that run it. before: the lock file's text, None where there was
    none; after: with the update. way: ``on`` or ``back``. run: which of the runs has last begun to do something.
    """

    service: str
    image: str
    old: str
    new: str
    services: tuple[str, ...]
    before: str | None
    after: str
    way: str = ON
    run: str = ""
    hosts: Mapping[str, Host] = field(default_factory=dict)

    def of(self, name: str) -> Host:
        """What it says of the host."""
        return self.hosts.get(name, Host())

    def with_host(self, name: str, found: Host, **changes: Any) -> "Note":
        """The same, with that of the host."""
        return replace(self, hosts={**self.hosts, name: found}, **changes)


def at(inventory: Path) -> Path:
    """Where that of an inventory is."""
    return inventory.with_suffix(".update.json")


def lock_file() -> Path:
    """The lock file. Raises Refused for a run without an inventory."""
    file = pins.path(sys.argv)
    if file is None:
        raise Refused("pins stand beside a file of hosts: name one, like inventories/prod.py")
    return file


def note_file() -> Path:
    """Where the note of this run's inventory is. Raises Refused."""
    return at(lock_file().with_suffix("").with_suffix(".py"))


def is_of(note: Note) -> None:
    """Raises Refused where another update is asked for than the one that is under way."""
    choice, to = os.environ.get(CHOICE, ""), os.environ.get("TO", "")
    if choice not in ("", note.service) or to not in ("", note.new):
        ended = target(f"update SERVICE={note.service}")
        raise Refused(f"an update of {note.service} to {note.new} was cut short: end that first, {ended}")


def read(file: Path) -> Note | None:
    """None where no update is under way. Raises Refused for what is none."""
    try:
        found = json.loads(file.read_text("utf-8"))
        hosts = {
            name: Host(**{**each, "data": tuple(each["data"])}) for name, each in found.pop("hosts").items()
        }
        return Note(**{**found, "services": tuple(found["services"]), "hosts": hosts})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Refused(
            f"{file}: is no note of an update ({error}): remove it, once the lock file beside it is as you want it"
        ) from None


def write(file: Path, note: Note) -> None:
    """Whole or not at all. Raises Refused."""
    keep(file, json.dumps(asdict(note), indent=2) + "\n")


def keep(file: Path, text: str | None) -> None:
    """The file has that text; None: it goes. Raises Refused where it cannot be written."""
    try:
        if text is None:
            file.unlink(missing_ok=True)
            return
        partial = file.with_name(f"{file.name}.partial")
        partial.write_text(text, "utf-8")
        partial.replace(file)
    except OSError as error:
        raise Refused(f"{file}: cannot be written: {error.strerror}") from None


def describe(text: str | None) -> None:
    """From now on this run describes the host with that lock file; None: without one."""
    found = stack().with_pins(pins.parsed(text) if text is not None else host().data.dict().get("_pins"))
    for key in ("stack", "services", "tree"):
        recall(key)
    remember("stack", lambda: found)

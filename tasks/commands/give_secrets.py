"""Give secrets: what only a person knows, like the mail server's password, is asked for and written into Vault.

``pyinfra -y inventories/prod.py tasks.commands.give_secrets.run``, with the access to Vault that a deploy has. On a terminal
nothing of it shows, and the one that is named is asked for twice; else standard input has a line for each, in the order of the questions. An empty one changes nothing.
SMARTEROS_SECRET=path#name is about that one alone, whoever made it.
"""

import os
import sys
from collections.abc import Mapping
from functools import cache, partial
from getpass import getpass

from tasks import backup, lock
from tasks.clients.vault_values import versioned, write
from tasks.commands.named import asked, known_places, unknown
from tasks.connection import grouped
from tasks.model import given, notify
from tasks.model.envfile import Impossible, encode
from tasks.model.fitting import lacks
from tasks.model.rotation import Place
from tasks.model.targets import target
from tasks.run import Commands, Refused, executing, host, operation, services, stack, step


def run() -> None:
    """The command ``make give-secrets``."""
    if grouped.elsewhere():
        return
    os.environ["PYINFRA_PROGRESS"] = "off"  # its spinner would write over the question
    answered(name="Give secrets | what only you know is asked for")
    lock.run(deploy=False, early=False)
    written(name="Give secrets | what only you know is written into Vault")
    backup.copied()


@operation
def answered() -> Commands:
    """Before the lock: who looks a password up keeps nobody from the host."""
    yield from ()
    for place in wanted(asked()) if executing() else ():
        _answer(place, versioned(place.path)[0])


@operation
def written() -> Commands:
    """One write for each value that is new, and the others of its path stay."""
    if not executing():
        return
    chosen = wanted(asked())
    if not chosen:
        host().log("nothing to give: these settings need no secret that only you know")
    for place in chosen:
        present, version = versioned(place.path)
        value = _answer(place, present)
        if value and value != present.get(place.name):
            kept = {name: text for name, text in present.items() if name not in place.made}
            yield step(partial(_write, place, {**kept, place.name: value}, version))
        elif not present.get(place.name):
            raise Refused(f"{stack().vault_mount}/{place} is still missing: nothing was given")


def _answer(place: Place, present: Mapping[str, str]) -> str:
    """Checked; empty for none. Raises Refused."""
    where = f"{stack().vault_mount}/{place}"
    value = _asked(where, form=_form(place), there=bool(present.get(place.name)), twice=bool(asked()))
    _check(where, place, value)
    return value


def wanted(name: str) -> list[Place]:
    """The one that is named, or all that only a person knows. Raises Refused for what may not change."""
    known = known_places()
    if not name:
        return [known[f"{path}#{key}"] for path, key in given.asked(services(), stack())]
    if name not in known:
        raise unknown(name)
    if lost := known[name].lost:
        raise Refused(f"NAME={name} is never changed: it would cost {lost}")
    return [known[name]]


def _write(place: Place, full: dict[str, str], version: int) -> None:
    write(place.path, full, version)
    then = _THEN.get(place.way, "the next deploy brings it to its services").format(
        service=place.service, rotate=target(f"rotate SERVICE={place.path}")
    )
    host().log(f"{stack().vault_mount}/{place} is written; {then}")


_THEN = {
    "first": (
        "{service} itself is not told, since only its first admin is made with it: where you have not changed it there yet, do, or let "
        "{rotate} change both"
    ),
    "ours": "a deploy that registers something uses it, and makes one of its own where it does not work",
}


def _form(place: Place) -> str:
    """What the value has to be, in words; empty where it may be anything."""
    told = notify.FORMS.get(place.name, "") if place.path == notify.PATH else ""
    return told or " and ".join(lacks(place, ""))


@cache
def _asked(where: str, *, form: str, there: bool, twice: bool = False) -> str:
    """Once, however many hosts there are: they are nodes of one stack. Raises Refused."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    words = "; ".join(filter(None, (form, "Enter keeps what is there" if there else "")))
    value = _typed(f"{where}{f' ({words})' if words else ''}: ")
    if value and twice and _typed("once more: ") != value:
        raise Refused(f"{where}: the two are not the same: nothing is written")
    return value


def _typed(question: str) -> str:
    """The answer; none for Ctrl-D."""
    try:
        return getpass(question)
    except EOFError:
        sys.stderr.write("\n")
        return ""


def _check(where: str, place: Place, value: str) -> None:
    """Raises Refused for what no environment can hold, and for what a deploy refuses, or its program would end for, or not take."""
    try:
        encode({place.name: value})
    except Impossible as error:
        raise Refused(f"{where}: {error}") from None
    missing = " and ".join(lacks(place, value))
    why = f"has to have {missing}" if missing else notify.amiss(place.path, place.name, value)
    if value and why:
        raise Refused(f"{where} {why}: nothing is written; {target(f'give-secrets NAME={place}')} asks again")

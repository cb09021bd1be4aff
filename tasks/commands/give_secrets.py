"""Give secrets: what only a person knows, like the mail server's password, is asked for and written into Vault.

``pyinfra -y inventories/prod.py tasks.commands.give_secrets.run``, with the access to Vault that a deploy has. On a terminal
nothing of it shows; else standard input has a line for each, in the order of the questions. An empty one changes nothing.
"""

import sys
from functools import cache, partial
from getpass import getpass

from tasks import lock
from tasks.clients import vault_session
from tasks.clients.vault_values import versioned
from tasks.model.envfile import Impossible, encode
from tasks.model.given import given
from tasks.run import Commands, Refused, executing, host, operation, recall, services, stack, step


def run() -> None:
    """The command ``make give-secrets``."""
    lock.run()
    written(name="Give secrets | what only you know is written into Vault")


@operation
def written() -> Commands:
    """One write for each value that is new, and the others of its path stay."""
    if not executing():
        return
    if not given(services()):
        host().log("nothing to give: these settings need no secret that only you know")
    for path, name in given(services()):
        present, version = versioned(path)
        where = f"{stack().vault_mount}/{path}#{name}"
        value = _asked(where, there=bool(present.get(name)))
        _check(where, name, value)
        if value and value != present.get(name):
            yield step(partial(_write, path, {**present, name: value}, version))
        elif not present.get(name):
            raise Refused(f"{where} is still missing: nothing was given")


def _write(path: str, full: dict[str, str], version: int) -> None:
    vault_session.write(path, full, version)
    recall(("secrets", path))
    host().log(f"{stack().vault_mount}/{path} is written; the next deploy brings it to its services")


@cache
def _asked(where: str, *, there: bool) -> str:
    """Once, however many hosts there are: they are nodes of one stack."""
    if sys.stdin.isatty():
        return getpass(f"{where}{' (Enter keeps what is there)' if there else ''}: ")
    return sys.stdin.readline().rstrip("\r\n")


def _check(where: str, name: str, value: str) -> None:
    try:
        encode({name: value})
    except Impossible as error:
        raise Refused(f"{where}: {error}") from None

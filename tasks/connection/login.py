"""Login: a user who is to work through sudo may do so; asked once, before anything else is."""

import getpass
import os
import socket
from shlex import quote

from pyinfra.api.host import Host

from tasks.connection import line, trouble
from tasks.connection.answer import NoAnswer, asked
from tasks.connection.memory import remember
from tasks.connection.said import Said

# Not through pyinfra's own sudo, which would ask for a password at the terminal, once for each fact under way.
_PROBE = "command -v sudo >/dev/null || {{ fail not found; exit; }}\nsudo -H -n {user}sh -c true || fail"


def checked(target: Host) -> None:
    """Asked once in a run, and nothing where no sudo is wanted. Raises Said, with what to do."""
    remember("login", lambda: _checked(target))


def _checked(target: Host) -> None:
    arguments = line.arguments(target)
    if not arguments.get("_sudo"):
        return
    given = bool(arguments.get("_sudo_password"))
    other = f"-u {quote(name)} " if (name := arguments.get("_sudo_user")) else ""
    try:
        asked(target, "true" if given else _PROBE.format(user=other), sudo=given)
    except NoAnswer as error:
        said = trouble.TERMINAL if trouble.meant(str(error)) == trouble.TERMINAL else str(error)
        if said != trouble.TERMINAL and (error.ran or said.startswith("sudo")):
            raise Said(_refusal(target.name, user(target), said)) from None
        raise Said(f"{target.name}: {said}") from None


def user(target: Host) -> str:
    """Who is logged in there; sudo does not change that."""
    client = getattr(target.connector, "client", None)
    return str(client.get_transport().get_username()) if client else _user_here()


def operator() -> str:
    """Who runs this, and on which machine."""
    return f"{_user_here()}@{socket.gethostname()}"


def _user_here() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _refusal(name: str, user: str, said: str) -> str:
    if said == "not found":
        return f"{name}: _sudo is set and there is no sudo: install it there (apt-get install sudo), or log in as root"
    return (
        f"{name}: sudo does not let {user} work without a password ({said}): allow it there, as root "
        f"(echo '{user} ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}), "
        "give the password (--same-sudo-password), or log in as root"
    )

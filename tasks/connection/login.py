"""Login: a user who is to work through sudo may do so; asked once, before anything else is."""

import getpass
import os
import socket

from pyinfra.api import DeployError, StringCommand
from pyinfra.api.host import Host

from tasks.connection import line

# Not through pyinfra's own sudo, which would ask for a password at the terminal, once for each fact under way.
_PROBE = "sudo -n true 2>&1 | sed 's/^/said: /'"


def checked(target: Host) -> None:
    """Nothing to ask where no sudo is wanted. Raises DeployError, with what to do."""
    arguments = line.arguments(target)
    if arguments.get("_sudo"):
        given = bool(arguments.get("_sudo_password"))
        probe, options = ("true", arguments) if given else (_PROBE, {})
        succeeded, output = target.run_shell_command(StringCommand(probe), **options)
        said = [text.removeprefix("said: ") for text in output.output_lines]
        if not succeeded or said:
            raise DeployError(_refusal(target.name, user(target), " ".join(said)))


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
    if "not found" in said:
        return f"{name}: _sudo is set and there is no sudo: install it there (apt-get install sudo), or log in as root"
    return (
        f"{name}: sudo does not let {user} work without a password ({said}): allow it there, as root "
        f"(echo '{user} ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}), "
        "give the password (--same-sudo-password), or log in as root"
    )

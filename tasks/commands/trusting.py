"""Trusting: the host's key is compared by somebody once, and noted in the known_hosts that deploys go by."""

import os
from pathlib import Path

from tasks.commands import answers
from tasks.commands.answers import say
from tasks.commands.described import Described
from tasks.connection import confirm, host_key
from tasks.connection.host_key import HostKey
from tasks.run import Refused


def noted(found: Described, command: str = "bootstrap") -> None:
    """The host's key is one that somebody knows, and is in the known_hosts that deploys go by. command: who asks. Raises Refused, Said."""
    shown = host_key.shown(found.login)
    there = host_key.known(found.known_hosts, shown)
    if there is None:
        _accepted(found.host, shown, command)
        found.known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with found.known_hosts.open("a+", encoding="utf-8") as file:
            file.seek(0)
            file.write("" if file.read()[-1:] in ("", "\n") else "\n")
            file.write(shown.line)
        say(f"the key of {found.host} is in {found.known_hosts}", command)
    elif not there:
        raise Refused(_other(found.host, found.known_hosts, shown))


def _other(host: str, path: Path, shown: HostKey) -> str:
    return (
        f"{host} shows another key ({shown.fingerprint}) than {path} has: somebody may stand in between. Only if it was set up "
        f"anew: ssh-keygen -R '{shown.name}' -f {path}"
    )


def _same(said: str, shown: HostKey) -> bool:
    return said.removeprefix("SHA256:").rstrip("=") == shown.fingerprint.removeprefix("SHA256:")


def _accepted(host: str, shown: HostKey, command: str) -> None:
    """Raises Refused unless somebody vouches for it."""
    mine = Path("~/.ssh/known_hosts").expanduser()
    said = os.environ.get("FINGERPRINT", "").strip()
    if said:
        if not _same(said, shown):
            raise Refused(
                f"{host} shows the key {shown.fingerprint}, and FINGERPRINT is {said}: it is not that host"
            )
        return
    known = host_key.known(mine, shown)
    if known is not None:
        if not known:
            raise Refused(_other(host, mine, shown))
        return
    say(f"{host} shows the key {shown.fingerprint} ({shown.key.get_name()})", command)
    if confirm.beforehand():
        say("nobody has compared it (YES=1): FINGERPRINT=SHA256:… would have", command)
        return
    answer = answers.asked(
        "FINGERPRINT",
        "Is it the one that the provider shows (its console or log has it; yes goes on, and so does the fingerprint itself)",
    )
    if answer.lower() not in ("y", "yes") and not _same(answer, shown):
        raise Refused(
            f"the answer was {answer!r}, and nothing was done there: on its console, ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub "
            "shows what it has to be"
        )

"""Undo the host: what stood there before the first deploy comes back, and what a deploy brought beside it goes.

``pyinfra inventories/prod.py tasks.commands.undo_host.run`` shows both, asks, and does it; with ``--dry`` it only shows,
with ``-y`` it does not ask. sshd comes first and stays only if a new connection comes in. What would take the stack
itself away (containers, volumes, secrets, packages) is named with its commands and stays; the next deploy brings all again.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from pyinfra.api import StringCommand

from tasks import lock, ssh
from tasks.facts import DockerFact, MachineFact
from tasks.facts.access import ARMED, DROP_IN, FIREWALL_UNIT, TABLE
from tasks.facts.before import BeforeFact, DaemonBeforeFact, Index
from tasks.facts.host import NOTE
from tasks.facts.kept import BEFORE, DAEMON_JSON, DOCKER_SOURCE, SHELL
from tasks.facts.swap import FILE as SWAP
from tasks.facts.unsealer import CREDENTIAL, NAME, PROGRAM, UNIT
from tasks.host import MACHINE_PACKAGES
from tasks.operations import armed, daemon, daemon_moves, daemon_ranges, login_keys_change
from tasks.operations.needed import PACKAGES
from tasks.rendering.render import ROOT, SECRETS
from tasks.rendering.templates import jinja
from tasks.run import Commands, Refused, host, known, operation, remember, services, stack

_UNITS = "/etc/systemd/system"
_LOGINS = ("smarteros-first-logins.service", "smarteros-first-logins.timer")
# They belong to what stays: containers, their secrets, packages.
_STAYS = (CREDENTIAL, PROGRAM, UNIT, *DOCKER_SOURCE, *(f"{_UNITS}/{name}" for name in _LOGINS))


@dataclass(frozen=True)
class Undoing:
    """Paths. back: the files of before. gone: ours, where nothing was. modes: path, mode, owner. left: nobody knows what
    was there. lost: somebody has removed what was kept. keys: files of users' keys → user, mode and owner of their folder.
    """

    back: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    modes: tuple[tuple[str, str, str], ...] = ()
    left: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    ranges: str = ""
    keys: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)


def run() -> None:
    """The command ``make undo-host``."""
    lock.run(deploy=False)
    undone(name="Undo | what stood on the host before comes back")


@operation
def undone() -> Commands:
    """Says what it does, takes our sshd settings back as a deploy brings them, and then all the rest in one command."""
    what = undoing(known(BeforeFact), _ranges())
    remember("said", lambda: _say(said(what)))
    if not (what.back or what.gone or what.modes):
        return
    if DAEMON_JSON in (*what.back, *what.gone) and (moves := _moves()):
        raise Refused("\n".join(moves))
    if DROP_IN in (*what.back, *what.gone):
        if reasons := [*ssh.would_shut_out()]:
            raise Refused("\n".join(reasons))
        yield from armed.proven(ssh.taken_back())
    if what.keys:
        yield from armed.proven(login_keys_change.taken_back(what.keys, {*what.back}))
    what = undoing(known(BeforeFact), what.ranges)  # with the units that this has brought
    yield StringCommand(script(what))


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        host().log(line)


def _ranges() -> str:
    machine = known(MachineFact)
    with suppress(Refused):
        return daemon_ranges.needed(daemon.parsed(machine.daemon_json), machine, known(DockerFact), stack())
    return ""


def _moves() -> list[str]:
    """What a Docker with its settings of before would leave behind."""
    text, found = known(DaemonBeforeFact)
    moves = daemon_moves.certain(daemon.parsed(text), found)
    kept = f"{BEFORE}/files{DAEMON_JSON}"
    return [daemon_moves.moved(replace(move, where=kept), "the restart with it") for move in moves]


def undoing(index: Index, ranges: str = "") -> Undoing:
    """What comes back and what goes. Pure. A file of an earlier release goes only where its name is ours alone."""
    stays = (*_STAYS, DAEMON_JSON) if ranges else _STAYS
    ours = [path for path in (*index.new, *index.earlier) if path in index.new or "smarteros" in path]
    return Undoing(
        back=tuple(path for path in index.kept if path not in stays),
        gone=tuple(
            path
            for path in ours
            if (path.startswith(("/etc/", "/usr/")) or path in index.logins) and path not in stays
        ),
        keys={path: how for path, how in index.logins.items() if path in index.kept + index.new},
        modes=index.modes,
        left=tuple(path for path in index.earlier if path not in ours and path.startswith("/etc/")),
        lost=index.lost,
        ranges=ranges if DAEMON_JSON in (*index.kept, *ours) else "",
    )


def said(what: Undoing) -> Iterator[str]:
    """What an operator has to know before the yes."""
    if not (what.back or what.gone or what.modes):
        yield f"nothing is kept in {BEFORE}: there is nothing to undo"
        return
    if what.back:
        yield f"as before: {', '.join(what.back)}"
    if what.modes:
        modes = ", ".join(f"{path} ({mode} {owner})" for path, mode, owner in what.modes)
        yield f"mode and owner as before: {modes}"
    if what.gone:
        yield f"removed, since nothing was there: {', '.join(what.gone)}"
    if what.left:
        yield f"left as they are, since an earlier release replaced them and kept nothing: {', '.join(what.left)}"
    if what.lost:
        yield f"left as they are, since somebody has removed what was kept: {', '.join(what.lost)}"
    if f"{_UNITS}/{FIREWALL_UNIT}" in what.gone:
        yield "from then on our firewall filters nothing: what listens on this host can be reached from the world"
    if DAEMON_JSON in (*what.back, *what.gone):
        yield "Docker restarts, and with it every container"
    if what.ranges:
        yield (
            f"stays: {DAEMON_JSON}: without the ranges in it Docker could take that of {what.ranges}; what stood there before, if "
            f"anything, comes beside it as {DAEMON_JSON}.before-smarteros"
        )
    yield from _keys(what.keys)
    yield from staying()


def _keys(paths: Iterable[str]) -> Iterator[str]:
    if named := ", ".join(paths):
        yield (
            f"keys let in as before login_keys named any, those that were taken out since among them: look into {BEFORE}/files first: {named}"
        )


def staying() -> Iterator[str]:
    """What stays, and how it is taken away."""
    yield (
        "stays: containers, volumes and networks: `docker ps --all --filter label=smarteros.service` names them, "
        f"`docker compose -f /root/dkcompose/<service>-deploy.yaml down` stops one ({', '.join(item.name for item in services())}), "
        "with `--volumes` its data go as well"
    )
    yield f"stays: secrets in {SECRETS} and Vault, rendered files in {ROOT}: `rm -r` once no container runs"
    yield f"stays: {NAME}.service and {_LOGINS[1]}, which serve them: `systemctl disable --now {NAME} {_LOGINS[1]}`"
    packages = " ".join((*PACKAGES, *MACHINE_PACKAGES))
    yield f"stays: packages: `apt-get purge` those that you did not have before: {packages}, Docker's"
    yield f"what is replaced or removed now is kept once more, in {ARMED}/undone-<time>.tar"


def script(what: Undoing) -> str:
    """Shell; run twice it does no more, and what was kept goes last."""
    docker = DAEMON_JSON in (*what.back, *what.gone)
    units = [path.removeprefix(f"{_UNITS}/") for path in what.gone if path.startswith(_UNITS)]
    table = TABLE if FIREWALL_UNIT in units else ""
    names: dict[str, Any] = {"units": units, "table": table, "docker": docker, "daemon_json": DAEMON_JSON}
    names["beside"] = bool(what.ranges)
    return (
        jinja()
        .get_template("host/undo.sh.j2")
        .render(
            shell=SHELL,
            state=ARMED,
            note=NOTE,
            swap=SWAP,
            back=[path for path in what.back if path not in what.keys],
            gone=[path for path in what.gone if path not in what.keys],
            modes=what.modes,
            **names,
        )
        .strip()
    )

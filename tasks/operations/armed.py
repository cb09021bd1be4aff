"""Armed: a change that could lock us out. The host takes it back by itself unless a new connection comes in after it.

On the host ``armed`` (a folder below /var/lib/smarteros) means: not proven yet. It holds what was there before, and
smarteros-revert.service puts that back when its timer runs down or the host boots. The run makes the folder, makes
the change, opens a second SSH connection as the inventory says, and only then renames the folder away. Whoever
renames it first has it, so that neither can undo what the other has done.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

import gevent
from paramiko import SSHException
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import ConnectError

from tasks.facts import MachineFact
from tasks.facts.access import ARMED
from tasks.operations.files import archive
from tasks.operations.kept import keep
from tasks.rendering.templates import HOME
from tasks.run import Commands, Refused, host, known, operation, stack, step

_UNIT = "smarteros-revert.service"
_LATE = "smarteros-revert-late.service"
_TIMER = "smarteros-revert.timer"

# The part of the time until the revert that a new connection may take.
_SHARE = 0.4


# The restart of sshd that it may have asked for begins only when it has ended: until then sshd can say nothing of itself.
_SETTLE = f"""
systemctl stop {_TIMER} 2>/dev/null
systemctl start {_UNIT} && [ ! -d {ARMED}/undoing ] || exit 1
timeout 20 sh -c 'while systemctl list-jobs --no-legend | grep -qE " (UNIT|ssh.socket) "; do sleep 0.2; done'
""".strip()


@operation
def settled() -> Commands:
    """No change of an earlier run waits to be proven: one that does is taken back now, and made again by this run."""
    access = known(MachineFact).access
    if access.armed:
        yield StringCommand(_SETTLE.replace("UNIT", access.ssh_unit))


@dataclass(frozen=True)
class Change:
    """files: path → text, written before ``make`` runs. undo: shell that makes the old files count again, run beside
    ``undoing``; it must wait for no other unit. others: paths that ``make`` changes, too. snapshot: shell that keeps
    more of the old state, run in the folder that becomes ``undoing``. proven: shell for when it stands. beside: name → text of
    what ``make`` finds in the folder ``armed``.
    """

    what: str
    files: Mapping[str, str]
    make: str
    undo: str
    others: tuple[str, ...] = ()
    snapshot: str = ":"
    proven: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)


def proven(change: Change) -> Commands:
    """Part of an operation: makes the change, and lets it stand once a new connection has come in."""
    seconds = stack().revert_seconds
    units = HOME / "files" / "units"
    own = {
        **{f"/etc/systemd/system/{name}": (units / name).read_text("utf-8") for name in (_UNIT, _LATE)},
        f"{ARMED}/revert": (HOME / "files" / "revert.sh").read_text("utf-8"),
        f"{ARMED}/next/what": f"{change.what}\n",
        f"{ARMED}/next/then": f"{change.undo}\n",
        **{f"{ARMED}/next/{name}": text for name, text in change.beside.items()},
    }
    upload = {path.lstrip("/"): text for path, text in {**own, **change.files}.items()}
    yield StringCommand(_script(change, own, seconds), _stdin=archive(upload, mode="644"))
    yield step(lambda: prove(change.what, seconds))
    yield StringCommand("\n".join(filter(None, (_DISARM, change.proven))))


def _script(change: Change, own: Iterable[str], seconds: int) -> str:
    """Timer, then folder, then change: cut short anywhere, it leaves nothing, or what takes itself back."""
    return f"""
set -eu
umask 022
mkdir -p {ARMED}
chmod 700 {ARMED}
{keep(path for path in (*own, *change.files) if not path.startswith(ARMED))}
cd {ARMED}
systemctl stop {_TIMER} 2>/dev/null || true
rm -rf incoming next proven
mkdir incoming next
base64 -d | tar -xzf - -C incoming --no-same-owner
put() {{ mkdir -p "$(dirname "$1")"; cp "incoming$1" "$1.new"; mv -fT "$1.new" "$1"; }}
for path in {_words(own)}; do put "$path"; done
systemctl daemon-reload
systemctl enable --quiet {_UNIT} {_LATE}
cd next
: >present
: >absent
for path in {_words((*change.files, *change.others))}; do
    if [ -e "$path" ] || [ -L "$path" ]; then echo "${{path#/}}" >>present; else echo "$path" >>absent; fi
done
tar -C / -cf files.tar -T present
{change.snapshot}
cd ..
sync next/*
systemd-run --quiet --on-active={seconds} --timer-property=AccuracySec=1s --unit={_UNIT}
trap 'code=$?; [ $code = 0 ] || systemctl start {_UNIT}; exit $code' EXIT
mv -T next armed
sync .
for path in {_words(change.files)}; do put "$path"; done
rm -rf incoming
{change.make}
""".strip()


def _words(paths: Iterable[str]) -> str:
    return " ".join(map(quote, paths))


_DISARM = f"""
cd {ARMED}
mv -T armed proven 2>/dev/null || {{ echo 'the old state is already back: the new connection came too late' >&2; exit 1; }}
systemctl stop {_TIMER} 2>/dev/null || true
rm -rf proven
""".strip()


def prove(what: str, seconds: int) -> None:
    """A second connection, made as the first one was, can run a command. Raises Refused.

    Whoever works on the host itself (``@local``) has no connection to lose.
    """
    connector = host().connector
    if getattr(connector, "client", None) is None:
        return
    deadline = time.monotonic() + seconds * _SHARE
    while problem := _attempt(connector):
        # What is refused is not tried again: sshd counts, and shuts out who is refused too often.
        if time.monotonic() > deadline or any(word in problem for word in _REFUSALS):
            raise Refused(
                f"{what} on {host().name}: no new SSH connection comes in after the change: {problem}. The host "
                f"takes the change back by itself, {seconds} s after it was made"
            )
        gevent.sleep(0.5)


_REFUSALS = ("uthentication", "ost key", "ncompatible", "accepts none", "no algorithm in common")


def _attempt(connector: Any) -> str:
    """Why a new connection, made as this one was, does not come in; empty when it runs a command."""
    fresh = type(connector)(connector.state, connector.host)
    try:
        fresh.connect()
        worked, _ = fresh.run_shell_command(StringCommand("true"))
    except (ConnectError, SSHException, OSError, EOFError) as error:
        return str(error) or type(error).__name__
    finally:
        if fresh.client:
            fresh.client.close()
    return "" if worked else "it runs no command"


__all__ = ["Change", "proven", "settled"]

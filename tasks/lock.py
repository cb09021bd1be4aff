"""Lock: one run at a time on a host, and the line that each run leaves in /var/log/smarteros/runs.log there.

``files/run-lock.sh`` does both, on the host, for as long as the run's SSH session: a run that is killed has
lost its lock, and is in the log as interrupted. What it may have left at work there, the next run waits for.
A plan, ``tasks.verify.run`` and the like take no lock.
"""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import gevent
from paramiko import SSHException
from pyinfra import logger
from pyinfra.api import StringCommand
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State, StateStage

from tasks.connection import login, of_this_machine, sessions
from tasks.connection.line import Line
from tasks.connection.lock_says import holder, refusal, said
from tasks.model import notify, targets
from tasks.rendering.templates import HOME
from tasks.run import Commands, Refused, executing, forget, guard, host, operation, stack, straight_on

# With these pyinfra ends before it changes anything; nothing in its state tells such a run from another.
_LOOKS = {"--dry", "--debug-facts", "--debug-operations"}

_SCRIPT, _RECORD = (HOME / "files" / name for name in ("run-lock.sh", "record.sh"))
_HOLD = (
    "exec 9>>/run/smarteros/work; flock -sn 9 || { echo 'another run has begun on this host' >&2; exit 1; }"
)


@dataclass(frozen=True)
class Outcome:
    """Whether the host is locked for this run: the line that holds it, or why not. late: it had to be waited for."""

    line: Line | None = None
    refusal: str = ""
    late: bool = False


_outcomes: WeakKeyDictionary[Host, gevent.Greenlet] = WeakKeyDictionary()


def run(*, deploy: bool = True, early: bool = True) -> None:
    """The phase. Bad settings are no run, and leave no trace on the host. deploy: people want to know its end. early: nobody is asked first."""
    stack()
    login.checked(host())
    if early and straight_on() and not _LOOKS & set(sys.argv):
        _taking(host(), deploy=deploy)
    taken(deploy, name="Lock | one run at a time, noted in /var/log/smarteros/runs.log")


@operation
def taken(deploy: bool) -> Commands:
    """All hosts of the run are locked before anything is done on any; where one cannot be had, nothing is done."""
    if not executing():
        return
    yield from ()
    hosts = sorted({host(), *host().state.activated_hosts}, key=lambda item: str(item.name))
    gevent.joinall([_taking(item, deploy=deploy) for item in hosts])
    outcomes = {item.name: _outcomes[item].get() for item in hosts}
    if own := outcomes[host().name].refusal:
        raise Refused(own)
    if others := [name for name, outcome in outcomes.items() if outcome.refusal]:
        raise Refused(f"nothing is done on {host().name}, since {', '.join(others)} cannot be locked")
    if outcomes[host().name].late:
        forget()  # what was read while another run was still at work
    guard(_guarded)


def _taking(target: Host, *, deploy: bool) -> gevent.Greenlet:
    """The host's outcome, begun once a run."""
    if target not in _outcomes:
        if not any(isinstance(item, _Told) for item in target.state.callback_handlers):
            target.state.add_callback_handler(_Told())
        _outcomes[target] = gevent.spawn(_take, target, deploy=deploy)
    return _outcomes[target]


def _take(target: Host, *, deploy: bool = False) -> Outcome:
    sessions.patient(target)
    try:
        scripts = _RECORD.read_text("utf-8") + _SCRIPT.read_text("utf-8")
        line = Line(target, f"exec bash --norc -c {shlex.quote(scripts)}")
    except (EOFError, OSError, SSHException) as error:
        return Outcome(refusal=f"{target.name} cannot be locked: {str(error) or 'the connection has ended'}")
    line.send(f"operator {json.dumps(login.operator())}")
    line.send(f"login {json.dumps(login.user(target))}\nfrom {json.dumps(of_this_machine.name())}")
    line.send(f"command {json.dumps(targets.command(sys.argv))}")
    line.send(f"about {json.dumps(targets.about(sys.argv, os.environ))}")
    printed = []
    while (text := line.receive()) is not None:
        printed.append(text)
        word, _, rest = said(text).partition(" ")
        if word == "held":
            if deploy:
                line.send("deploy yes")
            return Outcome(line, late=bool(rest))
        if word == "asks":
            line.send(_over(target, printed))
        if word == "waits":
            target.log(f"waits for what an interrupted run has left at work: {rest}")
    return Outcome(refusal=refusal(target.name, printed))


def _over(target: Host, printed: Sequence[str]) -> str:
    """What the script is told of the run that has the lock."""
    found = holder(printed)
    if not of_this_machine.over(json.loads(found.get("from", '""'))):
        return "stays"
    target.log("the run that has the lock was begun here, and is over: what is left of it there is ended")
    return f"gone {found['pid']}"


def _guarded(command: PyinfraCommand | str) -> PyinfraCommand | str:
    """Before each command that changes something: the lock is still ours, the log says what comes, and the command
    holds the file by which a later run sees that it is still at work.
    """
    line = held()
    if line.ended:
        raise Refused(
            f"{host().name} is not locked for this run any more: its process there was ended; run again"
        )
    line.send(f"change {json.dumps(_name(host().state, str(host().current_op_hash)))}")
    if isinstance(command, str):
        command = StringCommand(command.strip())
    if not isinstance(command, StringCommand):
        return command
    return StringCommand(_HOLD, command, _separator="\n", **command.connector_arguments)


def held() -> Line:
    """The line of this run's lock, once it is had."""
    line: Line = _outcomes[host()].get().line
    return line


def _name(state: State, op_hash: str) -> str:
    return ", ".join(sorted(state.get_op_meta(op_hash).names))


_TELLING = 50  # seconds; the script takes 45 at most
_LOST = "the connection is lost; what was under way may go on there: run again, which waits for it"


class _Told(BaseStateCallback):
    """What pyinfra says of the run's course, passed on to the hosts' logs."""

    @staticmethod
    def operation_host_start(state: State, host: Host, op_hash: str) -> None:
        told(host, f"at {json.dumps(_name(state, op_hash))}")

    @staticmethod
    def operation_host_error(
        state: State,  # noqa: ARG004  pyinfra's signature, here and below
        host: Host,
        op_hash: str,  # noqa: ARG004
        retry_count: int = 0,  # noqa: ARG004
        max_retries: int = 0,  # noqa: ARG004
    ) -> None:
        client = getattr(host.connector, "client", None)
        if client is not None and not client.get_transport().is_active():
            host.log_styled(_LOST, fg="red", log_func=logger.error)

    @staticmethod
    def host_disconnect(state: State, host: Host) -> None:
        through = state.current_stage == StateStage.Disconnect
        result = "failed" if host in state.failed_hosts else "ok" if through else "interrupted"
        if line := told(host, f"end {result}"):
            line.close(_TELLING if host.data.get("notify") else 5)
            for text in notify.untold(map(said, line.rest())):
                host.log_styled(text, fg="yellow", log_func=logger.warning)


def told(target: Host, text: str) -> Line | None:
    """Says it over the line of the run's lock, where that is had."""
    taking = _outcomes.get(target)
    # A greenlet that has come to its end is false.
    line: Line | None = taking.value.line if taking is not None and taking.ready() else None
    if line:
        line.send(text)
    return line

"""Plan: what a deploy would do and what that means, without touching anything.

``pyinfra -y inventories/prod.py tasks.commands.plan.run`` exits with 0 where there is nothing to do, with 2 where there is, and
with 1 where the deploy would be refused. With ``JSON=1`` it prints one JSON object besides, alone on standard output.
"""

import os
import sys
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from pyinfra.api.state import State

from tasks import hooks, plan
from tasks import host as hardening
from tasks.commands import printed
from tasks.connection import exit_code
from tasks.facts import LoadedCaddyfileFact
from tasks.model.targets import inventory
from tasks.operations import plan_lines, questions
from tasks.run import Commands, Refused, executing, host, operation, read_ahead, read_as_one

SOMETHING = 2

_made: WeakKeyDictionary[State, dict[str, dict[str, Any]]] = WeakKeyDictionary()


def run() -> None:
    """The command ``make plan``."""
    told(name="Plan | what a deploy would do")


@operation
def told() -> Commands:
    """Prints it, and sees to the exit code."""
    if not executing():
        return
    yield from ()
    _ask()
    try:
        found = plan.drawn()
    except Refused as error:
        with suppress(Refused):  # why it is refused is more than that nobody takes it
            _note({"refused": str(error)})
        raise
    plan.shown(found)
    if found.steps:
        exit_code.leave(SOMETHING)
    _note(plan_lines.data(found))


def _ask() -> None:
    """What is quickly found is asked for by one command, beside those that take long."""
    wide = [key for key in (*questions.wide(), hardening.question()) if key[0] not in _QUICK]
    read_ahead(*wide)
    gevent.sleep(0.03)  # they leave; files are rendered meanwhile
    read_as_one(
        *questions.of_files(), *questions.brief(), *(key for key in questions.wide() if key[0] in _QUICK)
    )


_QUICK = (LoadedCaddyfileFact,)


def _note(made: dict[str, Any]) -> None:
    """The last host to end prints them all."""
    state = host().state
    hosts = _made.setdefault(state, {})
    hosts[str(host().name)] = made
    active = {str(item.name) for item in state.active_hosts} | {str(host().name)}
    if os.environ.get("JSON") and active <= hosts.keys():
        silent = [str(item.name) for item in state.limit_hosts or () if item not in state.activated_hosts]
        whole = {
            "version": plan_lines.VERSION,
            "inventory": inventory(sys.argv),
            "hooks": [str(path) for path in hooks.there()],
            "unreachable": silent,
            "hosts": hosts,
        }
        printed.data(whole)

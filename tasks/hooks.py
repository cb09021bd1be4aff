"""Hooks: executables of the operator's beside the inventory, ``hooks/before-deploy`` and ``hooks/after-deploy``.

They run on this machine, once a run, and get on standard input what the run is about, as JSON. One that nobody could call is refused, by
a plan as by a run, before anything is changed, whichever of the two it is. One before the deploy that fails stops it before anything is changed; what one after it says by failing is a warning. How long one may take is the operator's: it is said
which is at work and since when, and Ctrl-C ends it with the run.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State, StateStage

from tasks.connection import login
from tasks.connection.lock_says import duration
from tasks.connection.memory import remembered
from tasks.model.catalogue import domains
from tasks.model.targets import command, inventory
from tasks.operations import described, plan_lines
from tasks.operations.described import tree
from tasks.operations.plan_lines import Plan
from tasks.run import Commands, Refused, executing, host, operation, remember, services, stack

BEFORE, AFTER = "before-deploy", "after-deploy"
# Between two words of one that is at work.
_SECONDS = 60

_before: WeakKeyDictionary[State, gevent.Greenlet] = WeakKeyDictionary()
_hosts: WeakKeyDictionary[State, dict[str, Any]] = WeakKeyDictionary()


def run() -> None:
    """The phase. The host is locked for this run by then, and nothing was changed."""
    about()
    ran(name="Hooks | what is to be done before a deploy, by hooks/before-deploy")


def about() -> None:
    """What the run is about on this host is known before any hook asks."""
    shown: Plan | None = remembered("plan")
    told = {**remember("about", _about), "plan": plan_lines.data(shown) if shown else None}
    _hosts.setdefault(host().state, {})[str(host().name)] = told


def _about() -> dict[str, Any]:
    names = [name for item in services() for route in item.routes for name in domains(stack(), route)]
    return {
        "zone": stack().zone,
        "generation": described.name(tree()),
        "services": [item.name for item in services()],
        "domains": names,
    }


@operation
def ran() -> Commands:
    """Once, whatever the number of hosts, and none of them goes on where it fails."""
    if wrong := [line for name in (BEFORE, AFTER) if (line := unfit(folder() / name))]:
        raise Refused(
            "\n".join(
                [
                    f"nothing is changed on {host().name}, since a hook cannot be called:",
                    *(f"    {line}" for line in wrong),
                ]
            )
        )
    if not executing():
        return
    yield from ()
    state = host().state
    if state not in _before:
        _before[state] = gevent.spawn(_called, BEFORE, _plan(state, BEFORE))
        state.add_callback_handler(_After())
    if why := _before[state].get():
        raise Refused(f"{why}: nothing was changed on {host().name}")


def folder() -> Path:
    """Where hooks are: beside the inventory."""
    return Path(inventory(sys.argv)).parent / "hooks"


def there() -> list[Path]:
    """Those that a deploy calls which has something to do."""
    return [path for name in (BEFORE, AFTER) if (path := folder() / name).exists()]


def _plan(state: State, event: str) -> dict[str, Any]:
    """What hooks read. plan: as `make plan JSON=1` has it; changes: names of what it found to do. Both null where none was made (-y)."""
    hosts = {name: {**item, "changes": _changes(state, name)} for name, item in _hosts[state].items()}
    return {
        "version": 1,
        "event": event,
        "command": command(sys.argv),
        "inventory": inventory(sys.argv),
        "operator": login.operator(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "hosts": hosts,
    }


def _changes(state: State, name: str) -> list[str] | None:
    if not state.should_check_for_changes():
        return None
    target = state.inventory.get_host(name)
    found = state.ops[target].items() if target in state.ops else ()
    return [", ".join(state.get_op_meta(key).names) for key, data in found if data.operation_meta.will_change]


def unfit(path: Path) -> str:
    """Why it cannot be called, as far as that is known before; empty where it can, and where there is none."""
    for each in (path.parent, path):
        if each.is_symlink() and not each.exists():
            return f"{each} leads to {each.readlink()}, which is not there: mend it, or take it away"
    if not path.exists():
        return ""
    if not path.is_file():
        return f"{path} is no file: take it away"
    if not os.access(path, os.X_OK):
        return f"{path} cannot be executed: `chmod +x {path}`, or take it away"
    if why := _unstarted(path):
        return f"{path} cannot be executed: {why}: mend it, or take it away"
    return ""


def _unstarted(path: Path) -> str:
    """Why the system would start no program by its first line. One that nobody may read is tried."""
    try:
        with path.open("rb") as file:
            line = file.readline(256)
    except OSError:
        return ""
    if not line.startswith(b"#!"):
        return "" if b"\0" in line else "its first line does not say what reads it, as #!/bin/sh does"
    program = Path(line[2:].strip(b" \t\n").split(b" ")[0].decode(errors="replace"))
    return "" if program.is_file() else f"its first line names {str(program)!r}, which is not there"


def _called(name: str, told: Mapping[str, Any]) -> str:
    """Why it has failed, empty where it has not or is not there. What it prints is seen as it comes."""
    path = folder() / name
    why = unfit(path)
    if why or not path.exists():
        return why
    logger.info(f"--> {path}")
    telling = gevent.spawn(_telling, path)
    try:
        code = _waited(path.absolute(), json.dumps(told).encode())
    except OSError as error:
        return f"{path} cannot be executed: {error.strerror}"
    finally:
        telling.kill(block=False)
    return f"{path} has failed (exit code {code})" if code else ""


def _waited(path: Path, told: bytes) -> int:
    child = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=2)
    try:
        child.communicate(told)
    except BaseException:  # the run is ended
        child.terminate()
        raise
    return child.returncode


def _telling(path: Path) -> None:
    began = time.time()
    while True:
        gevent.sleep(_SECONDS)
        since = time.strftime("%H:%M:%S", time.localtime(began))
        logger.info(
            f"    {path} is at work, since {since} ({duration(int(time.time() - began))}); Ctrl-C ends it, and this run"
        )


class _After(BaseStateCallback):
    """Calls the hook after the deploy, once the last host has come to its end."""

    def __init__(self) -> None:
        self._ended: dict[str, str] = {}

    def host_disconnect(self, state: State, host: Host) -> None:  # type: ignore[override]  # of the instance
        """How it has ended there."""
        through = state.current_stage == StateStage.Disconnect
        if (before := _before.get(state)) is not None:
            before.kill(timeout=5)  # nothing, where it has come to its end
        self._ended[str(host.name)] = (
            "failed" if host in state.failed_hosts else "ok" if through else "interrupted"
        )
        if self._ended.keys() < {str(item.name) for item in state.activated_hosts}:
            return
        told = _plan(state, AFTER)
        for name, result in self._ended.items():
            told["hosts"].setdefault(name, {})["result"] = result
        told["result"] = "ok" if set(self._ended.values()) == {"ok"} else "failed"
        if why := _called(AFTER, told):
            logger.warning(f"{why}; the deploy has ended before it, and is as it is")

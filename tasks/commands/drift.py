"""Drift: names what differs on the hosts from what the last deploy made, and since when. Reads only.

``pyinfra -y inventories/prod.py tasks.commands.drift.run`` exits with 0 where nothing differs, with 2 where something does, and
with 1 where that is not known; ``JSON=1`` prints one JSON object besides, alone on standard output.
"""

import os
import sys
from dataclasses import asdict
from typing import Any
from weakref import WeakKeyDictionary

from pyinfra.api.state import State

from tasks.commands import printed
from tasks.connection.exit_code import leave
from tasks.facts import DriftFact
from tasks.facts.drift import Drift
from tasks.model.targets import inventory, target
from tasks.run import Commands, Refused, executing, host, known, operation

_found: WeakKeyDictionary[State, dict[str, Drift]] = WeakKeyDictionary()


def run() -> None:
    """The command ``make drift``."""
    named(name="Drift | what differs from what the last deploy made")


@operation
def named() -> Commands:
    """A line for each difference; fails the host where no deploy has noted what it made."""
    if not executing():
        return
    yield from ()
    found = known(DriftFact)
    if not found.noted:
        raise Refused(f"{host().name}: no deploy has noted what it made there yet: {target('deploy')} does")
    state = host().state
    every = _found.setdefault(state, {})
    every[str(host().name)] = found
    for line in lines(found):
        host().log(line)
    if found.differences:
        leave(2)
    active = {str(item.name) for item in state.active_hosts} | {str(host().name)}
    if os.environ.get("JSON") and active <= every.keys():
        printed.data(data(every))


def lines(found: Drift) -> list[str]:
    """For people. Pure."""
    if not found.differences:
        return [f"nothing differs from what the deploy of {found.noted} made (generation {found.number})"]
    number = len(found.differences)
    many = f"{number} differences" if number > 1 else "1 difference"
    return [
        f"{item.kind} {item.name}: {item.what}" + (f", since {item.since}" if item.since else "")
        for item in found.differences
    ] + [
        (
            f"{many} from what the deploy of {found.noted} made (generation {found.number}): {target('deploy')} "
            "makes good what it can"
        )
    ]


def data(every: dict[str, Drift]) -> dict[str, Any]:
    """For programs. Pure."""
    hosts = {
        name: {
            "noted": found.noted,
            "number": found.number,
            "generation": found.generation,
            "differences": [{**asdict(item), "since": item.since or None} for item in found.differences],
        }
        for name, found in sorted(every.items())
    }
    return {"version": 1, "inventory": inventory(sys.argv), "hosts": hosts}

"""Swarm rolling: one service of a swarm is brought to its description, through the API of a node that manages.

A swarm rolls it and goes back by itself; that it went back is a failure here, though Docker's own command calls it a success (docker/cli#6752).
"""

import base64
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gevent

from tasks.clients.engine_api import Api
from tasks.operations.swarm_differing import Found, able, told, unlike
from tasks.rendering.render import SERVICE_LABEL
from tasks.run import Refused

# Of an update (swarmkit, UpdateStatus): one that is at work, and those that have not ended well.
_AT_WORK, _BACK = ("updating", "rollback_started"), ("paused", "rollback_completed", "rollback_paused")
# Of a task (swarmkit, TaskState).
_ENDED = ("complete", "shutdown", "failed", "rejected", "orphaned")
# Who has ended so often, for each task, does not come to life by waiting; a node keeps no more to look back on (nodes.py).
_ATTEMPTS = 2
_LOG_LINES = 50
KINDS = ("secrets", "configs")


@dataclass(frozen=True)
class Wanted:
    """One service. spec: as it is rendered (swarm_spec). texts: kind (``secrets``, ``configs``) → name → what it holds, shown nowhere.
    seconds: how long a start, and the end of what it replaces, may take.
    """

    service: str
    spec: Mapping[str, Any]
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    seconds: int = 60

    @property
    def name(self) -> str:
        """As it answers in its networks."""
        return str(self.spec["Name"])


def services(engine: Api) -> dict[str, Found]:
    """Name → the service, with how many of its tasks run."""
    return {item["Spec"]["Name"]: item for item in engine.get("/services", status="true")}


def brought(engine: Api, wanted: Wanted, networks: Mapping[str, str]) -> None:
    """It runs as described. networks: name → id. Raises Refused with what its task says, once what ran before is back."""
    ids = {
        name: _stored(engine, kind, name, text, wanted.service)
        for kind in KINDS
        for name, text in wanted.texts.get(kind, {}).items()
    }
    spec = told(wanted.spec, {**networks, **ids})
    there = services(engine).get(wanted.name)
    rolls, past = bool(there and [*unlike(spec, there["Spec"])]), frozenset[str]()
    if there is None:
        number = engine.post("/services/create", spec)["ID"]
    else:
        number, past = there["ID"], frozenset(item["ID"] for item in _tasks(engine, there["ID"]))
    if there and rolls:
        engine.post(f"/services/{number}/update", spec, version=there["Version"]["Index"])
    over = time.monotonic() + wanted.seconds
    while not _settled(engine, number, wanted, past, rolls=rolls):
        if time.monotonic() > over:
            raise Refused(_why(engine, number, wanted, f"does not run after {wanted.seconds} s"))
        gevent.sleep(0.5)


def _stored(engine: Api, kind: str, name: str, text: str, service: str) -> str:
    """Its id. One is never changed: its name says what it holds."""
    query = {"filters": json.dumps({"name": [name]})}
    for item in engine.get(f"/{kind}", **query):
        if item["Spec"]["Name"] == name:
            return str(item["ID"])
    data = base64.b64encode(text.encode()).decode()
    return str(
        engine.post(f"/{kind}/create", {"Name": name, "Data": data, "Labels": {SERVICE_LABEL: service}})["ID"]
    )


def _settled(engine: Api, number: str, wanted: Wanted, past: frozenset[str], *, rolls: bool) -> bool:
    """Whether as many tasks run as can, all of them as described. past: those that ended, or ran, before. rolls: whether an update brings
    that; how an earlier one has ended says nothing. Raises Refused where it is not to come.
    """
    there = engine.get(f"/services/{number}") or {}
    state = (there.get("UpdateStatus") or {}).get("State")
    if rolls and state in _BACK:
        what = (
            "it runs as before again"
            if state == "rollback_completed"
            else "and is neither as before nor as described"
        )
        raise Refused(_why(engine, number, wanted, f"does not start as described, {what}"))
    inside = wanted.spec["TaskTemplate"]["ContainerSpec"]
    tasks = [item for item in _tasks(engine, number) if not [*unlike(inside, item["Spec"]["ContainerSpec"])]]
    replicas = int(wanted.spec["Mode"]["Replicated"]["Replicas"])
    enough = able(wanted.spec, engine.get("/nodes"))
    failed = [item for item in tasks if item["Status"].get("Err") and item["ID"] not in past]
    if len(failed) >= _ATTEMPTS * replicas and state not in _AT_WORK:
        raise Refused(_why(engine, number, wanted, "does not start"))
    running = [
        item for item in tasks if (item["Status"]["State"], item["DesiredState"]) == ("running", "running")
    ]
    # An update does not end before the node is back that has the rest.
    return len(running) >= enough and (enough < replicas or state not in _AT_WORK)


def _tasks(engine: Api, number: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.get("/tasks", filters=json.dumps({"service": [number]})) or []
    return sorted(found, key=lambda item: item["Status"]["Timestamp"])


def _why(engine: Api, number: str, wanted: Wanted, what: str) -> str:
    named = {item["ID"]: item["Description"]["Hostname"] for item in engine.get("/nodes") or ()}
    return "\n".join(
        [
            *_said(wanted.name, what, _tasks(engine, number), named),
            *engine.log(f"/services/{number}/logs", _LOG_LINES),
        ]
    )


def _said(name: str, what: str, tasks: Iterable[Found], named: Mapping[str, str]) -> Iterator[str]:
    """The last task that has failed says most, more than one that has found no place yet."""
    wrong = [item for item in tasks if item["Status"].get("Err")]
    failed = [item for item in wrong if item["Status"]["State"] in _ENDED] or wrong
    if not failed:
        yield f"{name}: it {what}; its last {_LOG_LINES} log lines:"
        return
    last = failed[-1]
    where = named.get(last.get("NodeID", ""), "no node")
    task = f"{name}.{last['Slot']}"
    yield f"{name}: it {what}: its task {task} on {where} says {last['Status']['Err']!r}; its last {_LOG_LINES} log lines:"

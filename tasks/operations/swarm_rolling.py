"""Swarm rolling: one service of a swarm is brought to its description, through the API of a node that manages.

A swarm rolls it and goes back by itself; that it went back is a failure here, though Docker's own command calls it a success (docker/cli#6752).
"""

import base64
import json
import time
from collections.abc import Mapping, Sequence
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
# Who has ended so often, for each task, does not come to life by waiting.
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
    rolls = bool(there and [*unlike(spec, there["Spec"])])
    if there is None:
        seen = _Seen(engine, engine.post("/services/create", spec)["ID"], wanted)
    else:
        seen = _Seen(engine, there["ID"], wanted)
        seen.look()
        seen.failed, seen.log = [], []
    if there and rolls:
        engine.post(f"/services/{seen.number}/update", spec, version=there["Version"]["Index"])
    over = time.monotonic() + wanted.seconds
    while not _settled(seen, rolls=rolls):
        if time.monotonic() > over:
            raise Refused(seen.why(f"does not run after {wanted.seconds} s"))
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


@dataclass
class _Seen:
    """What was seen of a service's tasks since it is looked at: a swarm forgets one that has failed, and its log, as soon as others come."""

    engine: Api
    number: str
    wanted: Wanted
    known: set[str] = field(default_factory=set)
    failed: list[Found] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def look(self) -> list[Found]:
        """Its tasks, in the order in which they came to be as they are."""
        query = {"filters": json.dumps({"service": [self.number]})}
        tasks = sorted(self.engine.get("/tasks", **query) or (), key=lambda item: item["Status"]["Timestamp"])
        ended = [item for item in tasks if item["Status"]["State"] in _ENDED and item["ID"] not in self.known]
        self.known |= {item["ID"] for item in ended}
        if failed := [item for item in ended if item["Status"].get("Err")]:
            self.failed += failed
            self.log = self.engine.log(f"/services/{self.number}/logs", _LOG_LINES)
        return tasks

    def why(self, what: str) -> str:
        """Task, node, error and the log's last lines."""
        named = {item["ID"]: item["Description"]["Hostname"] for item in self.engine.get("/nodes") or ()}
        waiting = [item for item in self.look() if item["Status"].get("Err")]
        log = self.log or self.engine.log(f"/services/{self.number}/logs", _LOG_LINES)
        return "\n".join([_said(self.wanted.name, what, [*waiting, *self.failed], named), *log])


def _settled(seen: _Seen, *, rolls: bool) -> bool:
    """Whether as many tasks run as can, all of them as described. rolls: whether an update brings that; how an earlier one has ended says
    nothing. Raises Refused where it is not to come.
    """
    there = seen.engine.get(f"/services/{seen.number}") or {}
    state = (there.get("UpdateStatus") or {}).get("State")
    tasks = seen.look()
    if rolls and state in _BACK:
        went = state == "rollback_completed"
        what = "it runs as before again" if went else "and is neither as before nor as described"
        raise Refused(seen.why(f"does not start as described, {what}"))
    spec = seen.wanted.spec
    inside, replicas = spec["TaskTemplate"]["ContainerSpec"], int(spec["Mode"]["Replicated"]["Replicas"])
    if len(seen.failed) >= _ATTEMPTS * replicas and state not in _AT_WORK:
        raise Refused(seen.why("does not start"))
    running = [
        item
        for item in tasks
        if (item["Status"]["State"], item["DesiredState"]) == ("running", "running")
        and not [*unlike(inside, item["Spec"]["ContainerSpec"])]
    ]
    enough = able(spec, seen.engine.get("/nodes"))
    # An update does not end before the node is back that has the rest.
    return len(running) >= enough and (enough < replicas or state not in _AT_WORK)


def _said(name: str, what: str, wrong: Sequence[Found], named: Mapping[str, str]) -> str:
    """The last task that has failed says most. wrong: in the order in which they are to be told, the last one first."""
    if not wrong:
        return f"{name}: it {what}; its last {_LOG_LINES} log lines:"
    last = wrong[-1]
    where = named.get(last.get("NodeID", ""), "no node")
    task = f"{name}.{last['Slot']}"
    return f"{name}: it {what}: its task {task} on {where} says {last['Status']['Err']!r}; its last {_LOG_LINES} log lines:"

"""Swarm services: those that there are, compared with those that there should be, on a node that manages.

What decides is the digest of all that a service is made from, its label. A swarm rolls it and goes back by itself; that it went back is a
failure here, though Docker's own command calls it a success (docker/cli#6752). What a rollback could need stays: the secret and the
configuration of before.
"""

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gevent

from tasks.clients.engine_api import Api
from tasks.rendering.render import DIGEST_LABEL, SERVICE_LABEL
from tasks.run import Commands, Refused, executing, host, operation, step

# Of an update (swarmkit, UpdateStatus): one that has ended well, and those that have not.
_WELL, _BACK = "completed", ("paused", "rollback_completed", "rollback_paused")
# A task that has ended so often does not come to life by waiting.
_ATTEMPTS = 3
_LOG_LINES = 50
_KINDS = ("secrets", "configs")


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


def differing(wanted: Iterable[Wanted], there: Iterable[Mapping[str, Any]]) -> list[Wanted]:
    """Those that are not there, made from something else, or do not run. Pure."""
    found = {item["Spec"]["Name"]: item for item in there}
    return [item for item in wanted if not _same(item, found.get(item.name)) or not _full(found[item.name])]


def _same(wanted: Wanted, there: Mapping[str, Any] | None) -> bool:
    labels = (there or {}).get("Spec", {}).get("Labels") or {}
    return bool(labels.get(DIGEST_LABEL) == wanted.spec["Labels"][DIGEST_LABEL])


def _full(there: Mapping[str, Any]) -> bool:
    status = there["ServiceStatus"]
    return bool(status["RunningTasks"] >= status["DesiredTasks"])


def filled(spec: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """With the ids that the swarm knows. ids: name of a secret or config → its id. Pure."""
    inside = dict(spec["TaskTemplate"]["ContainerSpec"])
    for kind, name in (("Secrets", "Secret"), ("Configs", "Config")):
        if kind in inside:
            inside[kind] = [{**item, f"{name}ID": ids[item[f"{name}Name"]]} for item in inside[kind]]
    return {**spec, "TaskTemplate": {**spec["TaskTemplate"], "ContainerSpec": inside}}


def spare(
    kind: str, service: str, there: Iterable[Mapping[str, Any]], services: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Ids of what no service has any more, nor had before: a swarm takes away what only a rollback needs, and then starts nothing.
    Those of others are none of ours. Pure.
    """
    key = f"{kind[:-1].capitalize()}ID"
    needed = {
        item[key]
        for found in services
        for spec in (found["Spec"], found.get("PreviousSpec") or {})
        for item in spec.get("TaskTemplate", {}).get("ContainerSpec", {}).get(kind.capitalize()) or ()
    }
    return [
        item["ID"]
        for item in there
        if (item["Spec"].get("Labels") or {}).get(SERVICE_LABEL) == service and item["ID"] not in needed
    ]


@operation
def converged(service: str, wanted: Callable[[], Iterable[Wanted]]) -> Commands:
    """The service's tasks run as they are described. wanted: asked when it is time to know, since secrets are part of it."""
    with Api(host()) as engine:
        for item in differing(wanted(), engine.get("/services", status="true")):
            yield step(partial(_brought, engine, item)) if executing() else "true"
        services = engine.get("/services")
        for kind in _KINDS:
            for each in spare(kind, service, engine.get(f"/{kind}"), services):
                yield step(partial(engine.delete, f"/{kind}/{each}")) if executing() else "true"


def _brought(engine: Api, wanted: Wanted) -> None:
    ids = {
        name: _stored(engine, kind, name, text, wanted.service)
        for kind in _KINDS
        for name, text in wanted.texts.get(kind, {}).items()
    }
    spec = filled(wanted.spec, ids)
    there = engine.get(f"/services/{wanted.name}")
    if there is None:
        number = engine.post("/services/create", spec)["ID"]
        _until(wanted, engine, number, lambda: _runs(engine, number, wanted))
    elif _same(wanted, there):
        number = there["ID"]
        _until(wanted, engine, number, lambda: _runs(engine, number, wanted))
    else:
        number = there["ID"]
        engine.post(f"/services/{number}/update", spec, version=there["Version"]["Index"])
        _until(wanted, engine, number, lambda: _rolled(engine, number, wanted))


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


def _until(wanted: Wanted, engine: Api, number: str, ended: Callable[[], bool]) -> None:
    over = time.monotonic() + wanted.seconds
    while not ended():
        if time.monotonic() > over:
            raise Refused(_why(engine, number, wanted, f"does not run after {wanted.seconds} s"))
        gevent.sleep(0.5)


def _runs(engine: Api, number: str, wanted: Wanted) -> bool:
    tasks = _tasks(engine, number)
    replicas = wanted.spec["Mode"]["Replicated"]["Replicas"]
    if len([item for item in tasks if item["Status"].get("Err")]) >= _ATTEMPTS * replicas:
        raise Refused(_why(engine, number, wanted, "does not start"))
    return len([item for item in tasks if item["Status"]["State"] == "running"]) >= int(replicas)


def _rolled(engine: Api, number: str, wanted: Wanted) -> bool:
    state = ((engine.get(f"/services/{number}") or {}).get("UpdateStatus") or {}).get("State")
    if state in _BACK:
        what = (
            "it runs as before again"
            if state == "rollback_completed"
            else "and is neither as before nor as described"
        )
        raise Refused(_why(engine, number, wanted, f"does not start as described, {what}"))
    return bool(state == _WELL)


def _tasks(engine: Api, number: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.get("/tasks", filters=json.dumps({"service": [number]})) or []
    return sorted(found, key=lambda item: item["Status"]["Timestamp"])


def _why(engine: Api, number: str, wanted: Wanted, what: str) -> str:
    nodes = {item["ID"]: item["Description"]["Hostname"] for item in engine.get("/nodes") or ()}
    return "\n".join(
        [
            *_said(wanted.name, what, _tasks(engine, number), nodes),
            *engine.log(f"/services/{number}/logs", _LOG_LINES),
        ]
    )


def _said(
    name: str, what: str, tasks: Iterable[Mapping[str, Any]], nodes: Mapping[str, str]
) -> Iterator[str]:
    """The last task that has failed says most."""
    failed = [item for item in tasks if item["Status"].get("Err")]
    if not failed:
        yield f"{name}: it {what}; its last {_LOG_LINES} log lines:"
        return
    last = failed[-1]
    where = nodes.get(last.get("NodeID", ""), "no node")
    yield f"{name}: it {what}: its task on {where} says {last['Status']['Err']!r}; its last {_LOG_LINES} log lines:"

"""Swarm standing: how each task of what a swarm runs for the host is, on which node, and what to do where one is not well."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tasks.clients.engine_api import Api
from tasks.facts import Status
from tasks.model.catalogue import Container, Service
from tasks.model.targets import target
from tasks.model.words import ago
from tasks.operations import container_health, lost, swarm_services
from tasks.operations.container_health import Line
from tasks.run import Refused

Found = Mapping[str, Any]

_ENDED = ("complete", "failed", "shutdown", "rejected", "orphaned", "remove")


def every(chosen: Sequence[Service], found: Status) -> tuple[Line, ...]:
    """Those of the host's containers, and of the tasks that it looks after."""
    return (*container_health.judged(chosen, found, lost.of(found)), *lines(chosen, found.clock))


def lines(chosen: Iterable[Service], clock: int) -> tuple[Line, ...]:
    """One for each task; none of one host. clock: the host's, in seconds."""
    spread = [service for service in chosen if service.nodes]
    if not spread:
        return ()
    try:
        tasks, nodes = _asked()
    except Refused as error:
        return tuple(_silent(service, item, str(error)) for service in spread for item in service.containers)
    return tuple(
        line
        for service in spread
        for item in service.containers
        for line in judged(service, item, tasks.get(item.name, ()), nodes, clock)
    )


def running(chosen: Iterable[Service]) -> dict[str, str]:
    """Container → how many of its tasks run, for who has no line for each."""
    spread = [item for service in chosen if service.nodes for item in service.containers]
    found = Counter(line.container.partition(".")[0] for line in lines(chosen, 0) if line.state == "running")
    return {item.name: f"{found[item.name]} of {item.replicas} run" for item in spread}


def _asked() -> tuple[dict[str, list[Found]], dict[str, str]]:
    """Name of a service → its tasks; and the nodes' names by id. Raises Refused."""
    manager = swarm_services.manager()
    if manager is None:
        raise Refused("no node manages the swarm")
    with Api(manager) as engine:
        there = {item["ID"]: item["Spec"]["Name"] for item in engine.get("/services")}
        nodes = {item["ID"]: item["Description"]["Hostname"] for item in engine.get("/nodes")}
        tasks: dict[str, list[Found]] = {}
        for task in engine.get("/tasks"):
            tasks.setdefault(there.get(task["ServiceID"], ""), []).append(task)
    return tasks, nodes


def _silent(service: Service, item: Container, why: str) -> Line:
    return Line(
        service.name,
        item.name,
        "unknown",
        "",
        why,
        f"`docker node ls` on a node says more; {target('deploy')}",
    )


def judged(
    service: Service, item: Container, tasks: Sequence[Found], nodes: Mapping[str, str], clock: int
) -> Iterator[Line]:
    """Of one container. tasks: the swarm's of that name, of which it keeps some that have ended. nodes: id → name. Pure."""
    wanted = [each for each in tasks if each["DesiredState"] == "running"]
    for task in sorted(wanted, key=lambda each: each["Slot"]):
        status = task["Status"]
        where, state = nodes.get(task.get("NodeID", ""), "no node"), status["State"]
        why = "" if state == "running" else status.get("Err") or _last(tasks, task) or f"its task is {state}"
        since = ago(max(0, clock - _seconds(status["Timestamp"])))
        name = f"{item.name}.{task['Slot']} on {where}"
        yield Line(service.name, name, state, since, why, _todo(item) if why else "")
    if len(wanted) < item.replicas:
        why = (
            f"has {len(wanted)} of its {item.replicas} tasks"
            if wanted
            else "is not in the swarm, or has no task there"
        )
        yield Line(service.name, item.name, "missing", "", why, f"{target('deploy')} brings them")


def _last(tasks: Iterable[Found], current: Found) -> str:
    """What the one before it in its place has ended with."""
    before = [item for item in tasks if item["Slot"] == current["Slot"] and item["Status"]["State"] in _ENDED]
    ended = sorted(before, key=lambda item: str(item["Status"]["Timestamp"]))
    return str(ended[-1]["Status"].get("Err") or "") if ended else ""


def _todo(item: Container) -> str:
    return f"see `docker service ps --no-trunc {item.name}` and `docker service logs --tail 50 {item.name}` on a node that manages"


def _seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp[:19]).replace(tzinfo=UTC).timestamp())

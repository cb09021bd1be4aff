"""Swarm services: those that there are, compared with those that there should be, on a node that manages.

What decides is the digest of all that a service is made from, its label, and that nobody has changed it since. What a rollback could need
stays: the secret and the configuration of before.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial

from pyinfra.api.host import Host

from tasks.clients.engine_api import Api
from tasks.connection import grouped
from tasks.connection.drafts import note
from tasks.model.catalogue import Service
from tasks.model.effects import WAITED, Effect, Start
from tasks.operations import nodes
from tasks.operations import swarm_rolling as rolling
from tasks.operations.swarm_differing import WAITING, Found, able, ours, reason, spare, told
from tasks.operations.swarm_rolling import Wanted
from tasks.run import Commands, Refused, executing, host, operation, step


def manager() -> Host | None:
    """Who answers for the swarm; None while it is only planned."""
    cluster = grouped.cluster()
    if cluster is None:
        return None
    found = nodes.nodes(cluster)
    name = nodes.answers(found, cluster)
    return grouped.named(name) if found[name].manages else None


@operation
def converged(
    service: Service,
    wanted: Callable[[], Iterable[Wanted] | None],
    asked: Callable[[], Host | None] = manager,
) -> Commands:
    """The service's tasks run as they are described. wanted: asked when it is time to know, since secrets are part of it; None while a
    plan cannot tell.
    """
    target, described = asked(), wanted()
    if (target is None or described is None) and executing():
        raise Refused(
            f"{service.name}: {'its image' if target else 'a node that manages the swarm'} is gone: {_AGAIN}"
        )
    if target is None or described is None:
        why = _UNKNOWN if target else "does not exist"
        note(*(Start(service.name, item.name, "made", why) for item in service.containers))
        yield "true"
        return
    with Api(target) as engine:
        networks = {item["Name"]: item["Id"] for item in engine.get("/networks")}
        there = rolling.services(engine)
        found = engine.get("/nodes")
        reasons = {
            item.name: reason(told(item.spec, networks), there.get(item.name), able(item.spec, found))
            for item in described
        }
        todo = [item for item in described if reasons[item.name]]
        note(*(_start(item, reasons[item.name], there.get(item.name)) for item in todo))
        for item in todo:
            host().log(f"{item.name}: {reasons[item.name]}")
        for item in todo:
            yield step(partial(rolling.brought, engine, item, networks)) if executing() else "true"
        yield from _cleared(engine, service.name)


_AGAIN = "the same command brings it, or says why it cannot"
_UNKNOWN = "is made, or made anew, where it is not as described"


def _start(item: Wanted, why: str, there: Found | None) -> Effect:
    """Others answer meanwhile, where any run."""
    image = str(item.spec["TaskTemplate"]["ContainerSpec"]["Image"]).partition("@")[0]
    if there is None:
        return Start(item.service, item.name, "made", why, image=image)
    before = str(there["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]).partition("@")[0]
    answers = there["ServiceStatus"]["RunningTasks"] > 0
    how = WAITED if why.endswith(WAITING) else "made anew" if answers else "started"
    start = Start(item.service, item.name, how, why, image=image, before=before)
    return replace(start, rolls=answers, away=not answers)


def _cleared(engine: Api, service: str) -> Commands:
    """What neither runs with it nor could by a rollback."""
    services = engine.get("/services")
    for kind in rolling.KINDS:
        for each in spare(kind, service, engine.get(f"/{kind}"), services):
            yield step(partial(engine.delete, f"/{kind}/{each}")) if executing() else "true"


def left(wanted: Collection[str]) -> dict[str, list[str]]:
    """Service → those of the swarm that are its and are not to be there."""
    target = manager()
    if target is None:
        return {}
    with Api(target) as engine:
        found: dict[str, list[str]] = {}
        for name, service in sorted(ours(rolling.services(engine).values()).items()):
            if name not in wanted:
                found.setdefault(service, []).append(name)
        return found


def removed(found: Mapping[str, Iterable[str]]) -> Commands:
    """Those that were left are gone, with secrets and configuration; part of an operation."""
    target = manager() if found else None
    if target is None:
        return
    with Api(target) as engine:
        for service, names in found.items():
            for name in names:
                yield step(partial(engine.delete, f"/services/{name}")) if executing() else "true"
            yield from _cleared(engine, service)

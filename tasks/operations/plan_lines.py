"""Plan lines: a plan in words, and as data. Pure but for the facts that it is given.

``data`` is what ``make plan JSON=1`` prints; keys come without a new ``version``, while none goes and none changes what it means.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tasks.facts import Machine
from tasks.facts.access import FIREWALL
from tasks.facts.ahead import Ahead
from tasks.facts.last_run import Back, Deploy
from tasks.model.catalogue import Service, domains
from tasks.model.effects import DockerRestart, Step
from tasks.model.stack import Stack
from tasks.operations import consequences as found
from tasks.operations import cut_short, noticed, plan_files, rolled
from tasks.operations import room_ahead as room

VERSION = 1


@dataclass(frozen=True)
class Plan:
    """What a run would do to one host. address: where SSH has found it. asked: what it is, in words. back: a rollback that it ends.
    cut_short: rotations that it does not end.
    """

    steps: tuple[Step, ...]
    services: tuple[Service, ...]
    stack: Stack
    machine: Machine
    ahead: Ahead = field(default_factory=Ahead)
    address: str = ""
    asked: str = "a deploy"
    back: Back | None = None
    cut_short: tuple[Deploy, ...] = ()


def data(plan: Plan) -> dict[str, Any]:
    """All of it, without a secret."""
    steps, ahead = plan.steps, plan.ahead
    visits = {item.domain: item for item in noticed.visits(steps, plan.services, plan.stack, ahead)}
    served = _served(plan)
    names, ports = found.named(steps, ahead), room.ports(steps, ahead, FIREWALL)
    restarts = [item for step in steps for item in step.effects if isinstance(item, DockerRestart)]
    return {
        "nothing_to_do": not steps,
        "rolled_back": rolled.data(plan.back),
        "rotations_cut_short": cut_short.data(plan.cut_short),
        "steps": [
            {"name": step.name, "says": [text for text in step.effects if isinstance(text, str)]}
            for step in steps
        ],
        "files": list(plan_files.data(steps, ahead)),
        "containers": list(_containers(steps)),
        "visitors": [asdict(visits.get(name, noticed.Visit(name, "nothing", 0))) for name in served],
        "domains": {
            "come": list(names.come),
            "go": list(names.go),
            "lead_elsewhere": found.led(names, ahead, plan.address),
        },
        "ports": {"open": list(ports.come), "close": list(ports.go)},
        "docker_stops": list(restarts[0].others) if restarts else [],
        "docker_does_not_start_again": list(restarts[0].stays) if restarts else [],
        "memory": {
            "needed_mb": room.needed_mb(plan.services),
            "there_mb": plan.machine.memory_mb,
            "limits_grow_mb": room.limits(steps, ahead),
        },
        "disk": {
            "free_mb": plan.machine.disk_free_mb,
            "images_gb": room.pulled_gb(steps, plan.services),
        },
        "migrations": list(room.migrations(steps, plan.services)),
        "lost": found.lost(steps),
        "ends": found.ended(steps),
    }


def _containers(steps: Sequence[Step]) -> Iterator[dict[str, str]]:
    for item in found.starts(steps):
        yield {"service": item.service, "container": item.container, "action": item.how, "why": item.why}
    for gone in found.gone(steps):
        yield {
            "service": gone.service,
            "container": gone.container,
            "action": "removed",
            "why": "it is described no more",
        }


def _served(plan: Plan) -> list[str]:
    if not any(item.phase == "proxy" for item in plan.services):
        return []
    return [name for item in plan.services for route in item.routes for name in domains(plan.stack, route)]


def lines(name: str, plan: Plan) -> Iterator[str]:
    """For people; one line on a host where there is nothing to do."""
    yield from (f"{name}: {text}" for text in cut_short.lines(plan.cut_short))
    if not plan.steps:
        yield f"{name}: nothing to do"
        return
    made = data(plan)
    yield from rolled.heading(name, plan.asked, plan.back)
    below = {f"{item['container']}: {item['why']}" for item in made["containers"]}
    for step in made["steps"]:
        yield f"    {step['name']}"
        yield from (f"        {text}" for text in step["says"] if text not in below)
    yield from _section("files", plan_files.lines(made["files"]))
    yield from _section(
        "containers", (f"{item['container']}: {item['action']}: {item['why']}" for item in made["containers"])
    )
    yield from _section("visitors", _told(made["visitors"]))
    yield from _section("domains", _named(made["domains"]))
    yield from _section("ports", _ports(made["ports"]))
    yield from _section("other containers, which stop with Docker", _stopped(made))
    yield from _section("databases and volumes that another version may change", made["migrations"])
    yield from _section("what the host does no more", made["ends"])
    yield from _section("DATA THAT IS LOST", made["lost"])
    yield from _section("room", _room(made))


def _section(title: str, lines: Any) -> Iterator[str]:
    listed = list(lines)
    if listed:
        yield f"  {title}:"
        yield from (f"    {line}" for line in listed)


def _told(visitors: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    told = [item for item in visitors if item["notices"] != "nothing"]
    for text in dict.fromkeys(item["notices"] for item in told):
        yield f"{', '.join(item['domain'] for item in told if item['notices'] == text)}: {text}"
    if rest := len(visitors) - len(told):
        yield f"{'the other ' if told else 'all '}{rest}: nothing"


def _named(names: Mapping[str, Any]) -> Iterator[str]:
    elsewhere = names["lead_elsewhere"]
    for name in names["come"]:
        where = ""
        if name in elsewhere:
            leads = elsewhere[name] or "nobody can say where"
            leads = leads if leads.startswith("no") else f"to {leads}"
            where = f", once its DNS record is right: it leads {leads} now"
        yield f"{name} comes, and a certificate for it{where}"
    for name in names["go"]:
        yield f"{name} goes: nothing answers there, and its certificate is not renewed; take its DNS record away"


def _ports(ports: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{port} opens" for port in ports["open"])
    yield from (f"{port} closes" for port in ports["close"])


def _stopped(made: Mapping[str, Any]) -> Iterator[str]:
    for name in made["docker_stops"]:
        again = name in made["docker_does_not_start_again"]
        yield f"{name}{': would not come back by itself, and is started again' if again else ''}"


def _room(made: Mapping[str, Any]) -> Iterator[str]:
    memory, disk = made["memory"], made["disk"]
    grown = f"; limits {memory['limits_grow_mb']:+d} MB" if memory["limits_grow_mb"] else ""
    yield f"memory: {memory['needed_mb']} of {memory['there_mb']} MB are needed{grown}"
    pulled = f", about {disk['images_gb']} GB of it for images that come" if disk["images_gb"] else ""
    yield f"disk: {disk['free_mb'] / 1024:.1f} GB are free{pulled}"

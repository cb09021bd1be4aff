"""Ports: who holds those that ours need, with what to do. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tasks.facts import Machine
from tasks.facts.listeners import Listener, Published
from tasks.model.catalogue import Service


@dataclass(frozen=True)
class Own:
    """A port of the host that a container of ours publishes. setting: what gives it another, where one does."""

    port: int
    protocol: str
    address: str
    proxy: bool
    setting: str = ""


def own(chosen: Iterable[Service]) -> list[Own]:
    """All of them, those on loopback too."""
    services = list(chosen)
    routes = {route.loopback: item.name for item in services for route in item.routes if route.loopback}
    found = []
    for service in services:
        for text in (text for container in service.containers for text in container.ports):
            port, _, protocol = text.partition("/")
            address, number = ("", *port.split(":"))[-3:-1]
            setting = f"overrides.{routes[int(number)]}.port" if int(number) in routes else ""
            proxy = service.phase == "proxy" and not address
            found.append(Own(int(number), protocol or "tcp", address or "*", proxy, setting))
    return sorted(found, key=lambda item: (item.port, item.protocol))


def taken(
    machine: Machine, chosen: Iterable[Service], names: frozenset[str], accepted: frozenset[str]
) -> Iterator[str]:
    """Who holds a port of ours, with what to do; ``accepted`` containers may. names: of every service of ours."""
    for port in own(chosen):
        holders = [item for item in machine.published if _publishes(item, port)]
        strangers = {item.container for item in holders if item.service not in names}
        if foreign := sorted(strangers - accepted):
            yield f"{_named(port)}: taken by the container {', '.join(foreign)}: {_way_out(port, foreign[0])}"
        elif not holders and (found := next((x for x in machine.listeners if _collides(x, port)), None)):
            yield f"{_named(port)}: taken by {_who(found)}: {_stop(found)}{_or_other(port)}"


def _named(port: Own) -> str:
    return f"port {port.port}" if port.protocol == "tcp" else f"port {port.port}/{port.protocol}"


def _publishes(found: Published, port: Own) -> bool:
    same = found.protocol == port.protocol and found.first <= port.port <= found.last
    return same and _meets(found.address, port.address)


def _collides(found: Listener, port: Own) -> bool:
    return (found.protocol, found.port) == (port.protocol, port.port) and _meets(found.address, port.address)


def _meets(theirs: str, ours: str) -> bool:
    """Every address meets ours when that is every one; ours on loopback meets its like, and every one of version 4."""
    theirs = theirs.partition("%")[0]
    return ours == "*" or theirs in ("*", "0.0.0.0", ours)  # noqa: S104  as ss writes it


def _way_out(port: Own, container: str) -> str:
    stop = f"stop it (docker stop {container})"
    return (
        f'{stop}, or set takeover = "{container}" to have it replaced'
        if port.proxy
        else stop + _or_other(port)
    )


def _or_other(port: Own) -> str:
    return f", or give ours another (`{port.setting}`)" if port.setting else ""


def _who(found: Listener) -> str:
    return f"the process {process(found)}" if found.process else "a process that this login may not see"


def process(found: Listener) -> str:
    """Its name, with its number and unit."""
    return f"{found.process} ({found.pid}{', ' + found.unit if found.unit else ''})"


def _stop(found: Listener) -> str:
    if found.unit.endswith((".service", ".socket")) and "@" not in found.unit:
        return f"stop it (systemctl disable --now {found.unit})"
    if found.pid > 1:
        return f"stop it and what starts it (systemctl status {found.pid} names it)"
    return "stop it"

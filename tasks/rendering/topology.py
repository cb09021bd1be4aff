"""Topology: a drawing of what runs, from the catalogue: a box for each service, with its domains and data; on its left a line
for each network, and the one that visitors come by; on its right one for each service that others store in or ask. Pure.
"""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.model.catalogue import Route, Service, Volume, domains
from tasks.model.stack import Stack

# As many units as a phone is wide, nearly.
_WIDTH, _EDGE, _STEP = 360, 10, 13
_HEADER, _TITLE, _LINE, _GAP = 96, 24, 14, 8
_CHARACTER = 6.2
_MOST_WRONG = 3
_MOST_LABEL = 18
_ORDER = ("proxy", "services", "data", "vault", "backup")


@dataclass(frozen=True)
class Text:
    """One line in a box. kind: ``domain``, ``part``, ``data`` or ``wrong``."""

    words: str
    kind: str
    y: int


@dataclass(frozen=True)
class Box:
    """One service. middle: where the lines meet it."""

    name: str
    title: str
    x: int
    y: int
    width: int
    height: int
    wrong: bool
    texts: tuple[Text, ...]

    @property
    def middle(self) -> int:
        """At its title."""
        return self.y + 15


@dataclass(frozen=True)
class Rail:
    """A line from top to bottom, with the boxes that it has to do with. to: the x where they begin. own: whose it is."""

    label: str
    name: str
    x: int
    to: int
    bottom: int
    stops: tuple[int, ...]
    own: int = 0


@dataclass(frozen=True)
class Drawing:
    """What a template draws, in units of its viewBox."""

    width: int
    height: int
    top: int
    left: tuple[Rail, ...]
    right: tuple[Rail, ...]
    boxes: tuple[Box, ...]


def drawing(stack: Stack, services: tuple[Service, ...], wrong: Mapping[str, str]) -> Drawing:
    """wrong: container → why it is not well; empty where it is. One that is not named is not known."""
    chosen = sorted(services, key=lambda service: _ORDER.index(service.phase))
    ways = _ways(chosen)
    stores = _stores(chosen)
    x = _EDGE + _STEP * len(ways)
    width = _WIDTH - x - _EDGE - _STEP * len(stores)
    boxes = tuple(_boxes(stack, chosen, x, width, wrong))
    at = {box.name: box.middle for box in boxes}
    left = [
        _rail(name, _EDGE + _STEP * number, x, [at[each] for each in names])
        for number, (name, names) in enumerate(ways.items())
    ]
    right = [
        _rail(name, x + width + _STEP * (number + 1), x + width, [at[each] for each in names], at[name])
        for number, (name, names) in enumerate(stores.items())
    ]
    bottom = max((box.y + box.height for box in boxes), default=_HEADER)
    return Drawing(_WIDTH, bottom + _EDGE, _HEADER, tuple(left), tuple(right), boxes)


def _ways(services: list[Service]) -> dict[str, list[str]]:
    """The internet and each network → services that are reached by it."""
    proxies = [service.name for service in services if service.phase == "proxy"]
    found = (
        {"internet": [*proxies, *(service.name for service in services if service.routes)]} if proxies else {}
    )
    for service in services:
        for name in dict.fromkeys(name for item in service.containers for name in item.networks):
            found.setdefault(name, []).append(service.name)
    return found


def _stores(services: list[Service]) -> dict[str, list[str]]:
    """What others need → itself and these."""
    needed = {name for service in services for name in service.needs}
    return {
        store.name: [store.name, *(service.name for service in services if store.name in service.needs)]
        for store in services
        if store.name in needed
    }


def _rail(name: str, x: int, to: int, stops: list[int], own: int = 0) -> Rail:
    label = name if len(name) <= _MOST_LABEL else f"{name[: _MOST_LABEL - 1]}…"
    return Rail(label, name, x, to, max(stops), tuple(stops), own)


def _boxes(
    stack: Stack, services: list[Service], x: int, width: int, wrong: Mapping[str, str]
) -> Iterator[Box]:
    y = _HEADER
    for service in services:
        lines = list(_lines(stack, service, int((width - 16) / _CHARACTER), wrong))
        height = _TITLE + _LINE * len(lines) + (4 if lines else 0)
        texts = (
            Text(words, kind, y + _TITLE + _LINE * number + 7) for number, (words, kind) in enumerate(lines)
        )
        bad = any(kind == "wrong" for _, kind in lines)
        yield Box(service.name, service.title, x, y, width, height, bad, tuple(texts))
        y += height + _GAP


def _lines(
    stack: Stack, service: Service, characters: int, wrong: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Words and their kind, one line each."""
    for words, kind in _said(stack, service):
        for line in textwrap.wrap(words, characters, subsequent_indent="  "):
            yield line, kind
    for container in service.containers:
        if why := wrong.get(container.name):
            yield from (
                (line, "wrong")
                for line in textwrap.wrap(
                    f"{container.name}: {why}", characters, max_lines=_MOST_WRONG, placeholder=" …"
                )
            )


def _said(stack: Stack, service: Service) -> Iterator[tuple[str, str]]:
    ports = [port.partition(":")[2] for item in service.containers for port in item.ports if "." not in port]
    if ports:
        yield f"the world: {', '.join(ports)}", "domain"
    for route in service.routes:
        for name in domains(stack, route):
            yield f"{name}{_closed(route)}", "domain"
    if service.phase == "backup":
        yield "copies everything into the bucket", "data"
        return
    lasting = [item.name for item in service.containers if not item.job]
    if lasting != [service.name]:
        yield ", ".join(lasting), "part"
    state = (each for item in service.containers for each in item.state)
    kept = [f"database {item.name}" for item in service.databases]
    kept += [item.name if isinstance(item, Volume) else item.path for item in state]
    if kept:
        yield ", ".join(dict.fromkeys(kept)), "data"


def _closed(route: Route) -> str:
    """Who gets in there."""
    ways = [*(["a token"] if route.guard else []), *(["some addresses"] if route.allow_from else [])]
    return f" (with {', '.join(ways)})" if ways else ""

"""Noticed: what the visitors of each domain notice of a run: all that happens to them, in the order in which the run does it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.facts.ahead import Ahead
from tasks.model.catalogue import Container, Route, Service, domains
from tasks.model.effects import WAITED, DockerRestart, Earlier, Network, Start, Step
from tasks.model.stack import Stack
from tasks.operations.consequences import effects, starts
from tasks.operations.rolling import DRAIN

# Who asks whether somebody may come to a domain with the override ``guard``.
_GUARD = "vault-auth-validator"
# How a container is started before which it answers nobody, and not only that it is there at last.
_AWAY = ("made anew", "made", "started")

Part = tuple[str, int | None]


@dataclass(frozen=True)
class Visit:
    """What who asks for a domain notices. seconds: of all of it, by the last times, None where one was never measured."""

    domain: str
    notices: str
    seconds: int | None = None


def visits(steps: Sequence[Step], chosen: Sequence[Service], stack: Stack, ahead: Ahead) -> Iterator[Visit]:
    """Nothing of those who notice nothing."""
    for service in chosen:
        for route in service.routes:
            if parts := list(_parts(service, route, steps, chosen, ahead)):
                text, seconds = "; then ".join(part for part, _ in parts), _sum([took for _, took in parts])
                yield from (Visit(name, text, seconds) for name in domains(stack, route))


def _parts(
    service: Service, route: Route, steps: Sequence[Step], chosen: Sequence[Service], ahead: Ahead
) -> Iterator[Part]:
    began = {effect.container: effect for effect in starts(steps)}
    own = began.get(route.container)
    if own and own.how == "made":
        yield "new: answers once it is healthy", None
        return
    if Earlier(service.name) in effects(steps, Earlier):  # before all else that the run does
        yield (
            "held while its data of then come into place and it starts on them, after they are ready beside it",
            None,
        )
    if effects(steps, DockerRestart):
        yield "down while Docker restarts, and until it is healthy again", None
    proxies = {item.name: item for each in chosen if each.phase == "proxy" for item in each.containers}
    passed = [item for item in service.containers if item.name == route.container]
    yield from _cut(steps, [*passed, *proxies.values()])
    yield from _needed(_needs(service, route, chosen), began, ahead)
    if own:
        yield _replaced(own, ahead)
    yield from _fronted([began[name] for name in sorted(proxies.keys() & began.keys())], ahead)


def _cut(steps: Sequence[Step], passed: Sequence[Container]) -> Iterator[Part]:
    """passed: containers through which a request goes."""
    inside = {name for item in passed for name in item.networks}
    every = [item for step in steps for item in step.effects if isinstance(item, Network)]
    found = [item for item in every if item.name in inside]
    if moved := [item.name for item in found if item.moved]:
        yield f"cut off for seconds while {', '.join(moved)} makes way; WebSockets are closed", None
    if anew := [item.name for item in found if not item.moved]:
        yield (
            f"down from when Docker makes {', '.join(anew)} anew until the run has made the containers in it anew",
            None,
        )


def _needs(service: Service, route: Route, chosen: Sequence[Service]) -> frozenset[str]:
    """Services without which it answers nobody, or not all."""
    guards = [item for item in chosen if item.name == _GUARD] if route.guard else []
    return frozenset((*service.needs, *(name for item in guards for name in (item.name, *item.needs))))


def _needed(needs: frozenset[str], began: Mapping[str, Start], ahead: Ahead) -> Iterator[Part]:
    found = [
        item for item in began.values() if item.service in needs and item.how in _AWAY and not item.rolls
    ]
    away = {item.service: item.how for item in found}
    if not away:
        return
    seconds = _sum([ahead.seconds.get(name) for name in away])
    they, take = ("they are", "they take") if len(away) > 1 else ("it is", "it takes")
    how = f"or wait while {they} {_listed([*dict.fromkeys(away.values())], 'or')}"
    if all(item.away for item in found):
        how = f"now, until {they} healthy"
    yield f"requests that need {_listed([*away], 'or')} fail {how}, {_took(seconds, take)}", seconds


def _replaced(start: Start, ahead: Ahead) -> Part:
    seconds = ahead.seconds.get(start.service)
    if start.how == WAITED:
        return "does not answer as it should now: it is waited for", None
    if start.rolls:
        return f"rolls: nobody waits for that; WebSockets are closed after {DRAIN} s, twice, and open anew", 0
    if start.away:
        return f"down now, until it is healthy, {_took(seconds)}", seconds
    if start.held:
        return f"held {_took(seconds)}{start.short and f': {start.short}'}", seconds
    return f"down until it is healthy, {_took(seconds)}", seconds


def _fronted(proxies: Sequence[Start], ahead: Ahead) -> Iterator[Part]:
    for item in proxies[:1]:
        seconds = ahead.seconds.get(item.service)
        if item.how in ("made", "started"):  # so that nobody gets through now
            yield f"down now, until {item.container} is healthy, {_took(seconds)}", seconds
            continue
        closed = "; WebSockets are closed" if item.how == "made anew" else ""
        yield f"held at the firewall while {item.container} is {item.how}, {_took(seconds)}{closed}", seconds


def _took(seconds: int | None, take: str = "it takes") -> str:
    """In words."""
    if seconds is None:
        return f"as long as {take} to start (never measured yet)"
    return f"about {seconds} s, as the last time"


def _sum(parts: Sequence[int | None]) -> int | None:
    known = [seconds for seconds in parts if seconds is not None]
    return sum(known) if len(known) == len(parts) else None


def _listed(names: Sequence[str], word: str) -> str:
    *rest, last = names
    return f"{', '.join(rest)} {word} {last}" if rest else last

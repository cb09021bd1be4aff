"""Consequences: what the steps of a plan mean for visitors, domains and data. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tasks.facts.ahead import Ahead
from tasks.model.catalogue import Service, domains
from tasks.model.effects import WAITED, DockerRestart, Earlier, Effect, File, Gone, Lost, Start, Step
from tasks.model.stack import Stack
from tasks.operations import dns
from tasks.operations.rolling import DRAIN
from tasks.rendering.render import CURRENT

CADDYFILE = f"{CURRENT}/caddy/Caddyfile"
# How a container is started where somebody notices it, and not only that it is there at last.
_ENDS = ("made anew",)


@dataclass(frozen=True)
class Visit:
    """What who asks for a domain notices. seconds: of the last time, None where it was never measured."""

    domain: str
    notices: str
    seconds: int | None = None


def effects(steps: Iterable[Step], kind: type[Effect]) -> list[Effect]:
    """Those of one kind."""
    return [effect for step in steps for effect in step.effects if isinstance(effect, kind)]


def starts(steps: Iterable[Step]) -> list[Start]:
    """Containers that are made, started, or waited for."""
    return [effect for step in steps for effect in step.effects if isinstance(effect, Start)]


def files(steps: Iterable[Step]) -> list[File]:
    """Files that get another text, or go."""
    return [effect for step in steps for effect in step.effects if isinstance(effect, File)]


def took(seconds: int | None) -> str:
    """In words."""
    return (
        f"about {seconds} s, as the last time"
        if seconds is not None
        else "as long as it takes to start (never measured yet)"
    )


def visits(steps: Sequence[Step], chosen: Sequence[Service], stack: Stack, ahead: Ahead) -> Iterator[Visit]:
    """What each domain's visitors notice; nothing of those who notice nothing."""
    for service in chosen:
        for name in (name for route in service.routes for name in domains(stack, route)):
            if noticed := _noticed(service, steps, chosen, ahead):
                yield Visit(name, *noticed)


def _noticed(
    service: Service, steps: Sequence[Step], chosen: Sequence[Service], ahead: Ahead
) -> tuple[str, int | None] | None:
    """The worst that happens to it."""
    if effects(steps, DockerRestart):
        return "down while Docker restarts, and until it is healthy again", None
    if Earlier(service.name) in effects(steps, Earlier):
        return (
            "held while its data of then come into place and it starts on them, after they are ready beside it",
            None,
        )
    routed = {route.container for route in service.routes}
    began = {effect.container: effect for effect in starts(steps)}
    if own := [began[name] for name in sorted(routed & began.keys())]:
        return _replaced(own[0], ahead)
    names = {item.name for each in chosen if each.phase == "proxy" for item in each.containers}
    if proxy := [began[name] for name in sorted(names & began.keys())]:
        seconds = ahead.seconds.get(proxy[0].service)
        return (
            f"held at the firewall while {proxy[0].container} is {proxy[0].how}, {took(seconds)}; WebSockets are closed",
            seconds,
        )
    needed = set(service.needs)
    ends = [item for item in began.values() if item.service in needed and item.how in _ENDS]
    if ends:
        seconds = ahead.seconds.get(ends[0].service)
        return (
            f"requests that need {ends[0].service} fail or wait while it is made anew, {took(seconds)}",
            seconds,
        )
    return None


def _replaced(start: Start, ahead: Ahead) -> tuple[str, int | None]:
    seconds = ahead.seconds.get(start.service)
    if start.how == "made":
        return "new: answers once it is healthy", None
    if start.how == WAITED:
        return "does not answer as it should now: it is waited for", None
    if start.rolls:
        return f"rolls: nobody waits; WebSockets are closed after {DRAIN} s, twice, and open anew", 0
    if start.held:
        return f"held {took(seconds)}{start.short and f': {start.short}'}", seconds
    return f"down until it is healthy, {took(seconds)}", seconds


@dataclass(frozen=True)
class Change:
    """What comes, and what goes."""

    come: tuple[str, ...] = ()
    go: tuple[str, ...] = ()


def change(before: Iterable[str], after: Iterable[str]) -> Change:
    """From the one to the other."""
    old, new = set(before), set(after)
    return Change(tuple(sorted(new - old)), tuple(sorted(old - new)))


_NAME = re.compile(r"^((?!http://)[a-z0-9*][a-z0-9.*-]*\.[a-z0-9.-]+) \{$", re.MULTILINE)


def named(steps: Iterable[Step], ahead: Ahead) -> Change:
    """Domains, by what the Caddyfile serves now and then. ahead: without it all that will be served comes."""
    for item in files(steps):
        if item.path == CADDYFILE:
            return change(_NAME.findall(ahead.texts.get(CADDYFILE, "")), _NAME.findall(item.after or ""))
    return Change()


def led(change: Change, ahead: Ahead, address: str) -> dict[str, str]:
    """Those that come and lead elsewhere → where; empty where nobody can say so."""
    return dns.astray(change.come, ahead.names, address)


def lost(steps: Iterable[Step]) -> list[str]:
    """Data that services do not have afterwards."""
    return [effect.what for step in steps for effect in step.effects if isinstance(effect, Lost)]


def gone(steps: Iterable[Step]) -> list[Gone]:
    """Containers that go."""
    return [effect for step in steps for effect in step.effects if isinstance(effect, Gone)]

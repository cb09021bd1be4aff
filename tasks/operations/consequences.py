"""Consequences: what the steps of a plan mean for domains, containers and data. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.facts.ahead import Ahead
from tasks.model.effects import Effect, Ends, File, Gone, Lost, Start, Step
from tasks.operations import dns
from tasks.rendering.render import CURRENT

CADDYFILE = f"{CURRENT}/caddy/Caddyfile"


def effects(steps: Iterable[Step], kind: type[Effect]) -> list[Effect]:
    """Those of one kind."""
    return [effect for step in steps for effect in step.effects if isinstance(effect, kind)]


def starts(steps: Iterable[Step]) -> list[Start]:
    """Containers that are made, started, or waited for."""
    return [effect for step in steps for effect in step.effects if isinstance(effect, Start)]


def files(steps: Iterable[Step]) -> list[File]:
    """Files that get another text, or go."""
    return [effect for step in steps for effect in step.effects if isinstance(effect, File)]


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


def ended(steps: Iterable[Step]) -> list[str]:
    """What the host does no more."""
    return [effect.what for step in steps for effect in step.effects if isinstance(effect, Ends)]


def gone(steps: Iterable[Step]) -> list[Gone]:
    """Containers that go."""
    return [effect for step in steps for effect in step.effects if isinstance(effect, Gone)]

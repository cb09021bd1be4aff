"""Logs: of what failed services have logged meanwhile, the lines that say why."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from tasks.facts import ProxyTroubleFact
from tasks.facts.answering import LogFact
from tasks.model.catalogue import Service
from tasks.model.shapes import masked
from tasks.run import Refused, known

_TELLING = re.compile(
    r"error|exception|fatal|fail|refused|denied|cannot|can't|unable|killed|out of memory|traceback|timed? ?out|exit code|does not exist",
    re.IGNORECASE,
)
_MOST = 5
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def said(
    failed: Iterable[Service], seconds: int, secrets: Callable[[str], Mapping[str, str]]
) -> Iterator[str]:
    """One line for each that tells something, or a word on where to look."""
    for service in failed:
        if service.nodes:  # on whichever node
            yield f"    see `docker service logs --tail 50 {service.main.name}` on a node that manages"
            continue
        names = tuple(container.name for container in service.containers if not container.job)
        try:
            hidden = secrets(service.name) if service.secrets else {}
            found = _found(service, names, seconds)
        except Refused:  # what is secret cannot be told, or the host does not answer any more
            hidden, found = {}, {}
        lines = [
            f"    {name} says: {line}" for name in names for line in telling(found.get(name, ()), hidden)
        ]
        yield from lines or [f"    see `docker logs --tail 50 {service.main.name}`"]


def _found(service: Service, names: tuple[str, ...], seconds: int) -> Mapping[str, Iterable[str]]:
    """Of the proxy only what it says of certificates: its notes on requests may hold what a visitor has sent."""
    if service.phase == "proxy":
        return {service.main.name: known(ProxyTroubleFact)}
    return known(LogFact, names, seconds)


def telling(lines: Iterable[str], hidden: Mapping[str, str]) -> list[str]:
    """The last lines that name something wrong, without what is secret. Pure."""
    plain = (masked(_COLOURS.sub("", line), hidden)[:300] for line in lines)
    return list(dict.fromkeys(line for line in plain if _TELLING.search(line)))[-_MOST:]

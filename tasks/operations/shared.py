"""Shared: what two hosts of one run may not both have, a domain and a bucket."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from pyinfra import context

from tasks.connection import grouped
from tasks.connection.said import Said
from tasks.operations import dns
from tasks.run import host, stack

T = TypeVar("T")


def refusals() -> Iterator[str]:
    """A line for each."""
    if cluster := grouped.cluster():
        if away := grouped.away(cluster):
            yield f"--limit: a cluster's nodes are deployed together, and {', '.join(away)} would be left out: leave --limit away"
        return
    yield from dns.shared(_elsewhere(dns.served))
    mine = _bucket()
    for other, theirs in _elsewhere(_bucket).items():
        if mine and mine == theirs:
            yield (
                f"backup.bucket: {mine[1]} is that of the host {other}, too, and each would overwrite the other's backups: "
                "give each host a bucket of its own"
            )


def _bucket() -> tuple[str, str] | None:
    found = stack().backup
    return (found.endpoint, found.bucket) if found else None


def _elsewhere(asked: Callable[[], T]) -> dict[str, T]:
    """Each other host of this run → what is asked there; one whose settings are bad says so itself."""
    found, target = {}, host()
    for other in target.state.inventory:
        if other is not target and target.state.is_host_in_limit(other):
            with context.ctx_host.use(other), suppress(Said):
                found[other.name] = asked()
    return found

"""Subnets: ranges for Docker's networks that nobody else uses whom the host talks to. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

# A network of containers has room for 253 of them.
SIZE = 24
# The shortest pool: seven networks beside docker0, and eight for what others make.
SMALLEST = 20
_MOST_BLOCKS = 8


@dataclass(frozen=True)
class Claim:
    """A range that is somebody's already; ``holder`` says whose, as a message names it. unseen: Docker itself, when
    it chooses a range, would not see them.
    """

    range: IPv4Network
    holder: str
    unseen: bool = False


def collision(subnet: IPv4Network, claims: Iterable[Claim]) -> str:
    """Who holds a part of it; empty when nobody does."""
    return next((claim.holder for claim in claims if claim.range.overlaps(subnet)), "")


def free(pools: Iterable[IPv4Network], claims: Iterable[Claim]) -> Iterator[IPv4Network]:
    """The ranges of one network each that nobody holds, the first of a pool's lower half first."""
    claims = tuple(claims)
    for pool in pools:
        lower, _ = pool.subnets()
        yield from (subnet for subnet in lower.subnets(new_prefix=SIZE) if not collision(subnet, claims))


def blocks(pools: Iterable[IPv4Network], claims: Iterable[Claim]) -> tuple[IPv4Network, ...]:
    """The largest ranges that nobody holds in the upper half of the first pool that has any: for what others make."""
    claims = tuple(claims)
    for pool in pools:
        _, upper = pool.subnets()
        if found := sorted(_unclaimed(upper, claims), key=lambda block: block.prefixlen):
            return tuple(found[:_MOST_BLOCKS])
    return ()


def _unclaimed(block: IPv4Network, claims: tuple[Claim, ...]) -> Iterator[IPv4Network]:
    if not collision(block, claims):
        yield block
    elif block.prefixlen < SIZE:
        for half in block.subnets():
            yield from _unclaimed(half, claims)

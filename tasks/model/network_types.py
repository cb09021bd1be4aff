"""Networks, interfaces and addresses of hosts, in settings."""

import re
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from tasks.model import subnets
from tasks.model.setting_types import Listed, matching
from tasks.model.words import meant

Network = Annotated[
    str,
    # Docker's own names are no networks of containers: on ``host`` they would share the host's.
    matching(
        re.compile(r"(?!(host|none|bridge|default)$)[a-z][a-z0-9_.-]*"),
        "is no name of a network (like smarter-net)",
    ),
]
Interface = Annotated[
    str,
    matching(re.compile(r"(?!lo$)[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}"), "is no network interface (like eth0)"),
]


def _peer(text: str) -> str:
    """One way to write it, which is nft's."""
    try:
        found = ip_network(text)
    except ValueError:
        message = "is no address or network (like 203.0.113.7 or 2001:db8:7::/64)"
        if re.fullmatch(r"[0-9a-fA-F.:]+/[0-9.]+", text) and _network(text):
            message = "names a host and its network at once"
        raise ValueError(f"{text!r} {meant(message, _network(text))}") from None
    if found.prefixlen == 0:
        raise ValueError(f"{text!r} is everybody")
    if found.is_loopback or found.is_multicast or found.is_unspecified:
        raise ValueError(f"{text!r} is no other host's address (like 203.0.113.7 or 2001:db8:7::/64)")
    return str(found.network_address if found.num_addresses == 1 else found)


def _network(text: str) -> str:
    """The network of an address in it, or the address with a port, in brackets or in a URL; empty when neither."""
    bare = re.sub(r"^\s*[a-z]+://|\s+", "", text.lower())
    bare = re.sub(r"^\[([0-9a-f:.]+)\](:\d+)?|^([0-9.]+):\d+$", r"\1\3", bare).rstrip("/")
    try:
        return str(ip_network(bare, strict=False)).removesuffix("/32").removesuffix("/128")
    except ValueError:
        return ""


Peer = Annotated[str, AfterValidator(_peer)]


def _node(text: str) -> str:
    """A swarm's nodes are reached over IPv4 alone here, as all networks of ours are."""
    try:
        found = IPv4Address(text)
    except ValueError:
        raise ValueError(f"{text!r} is no IPv4 address (like 10.0.0.2)") from None
    if found.is_loopback or found.is_multicast or found.is_unspecified:
        raise ValueError(f"{text!r} is nothing that another host can reach (like 10.0.0.2)")
    return str(found)


Node = Annotated[str, AfterValidator(_node)]


def _visitor(text: str) -> str:
    # Containers have IPv4 alone, and who comes over IPv6 comes through Docker's proxy, from the network's gateway.
    if ":" in text:
        raise ValueError(f"{text!r} is IPv6, and Docker hides from Caddy who comes over IPv6: name IPv4")
    return text


Visitor = Annotated[Peer, AfterValidator(_visitor)]


def _pool(text: str) -> str:
    """A range that networks of containers are cut from: half of it for ours, half for those that others make."""
    try:
        found = IPv4Network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no range of IPv4 addresses (like 10.207.0.0/16)") from None
    if "/" in text and str(found) != text:
        raise ValueError(f"{text!r} is no range as it is written (did you mean '{found}'?)")
    if found.prefixlen > subnets.SMALLEST:
        raise ValueError(f"{text!r} is too small: a /{subnets.SMALLEST} is the least (like 10.207.0.0/16)")
    if found.prefixlen < _LARGEST:
        raise ValueError(f"{text!r} is too large: no more than a /{_LARGEST} (like 10.207.0.0/16)")
    if any(found.overlaps(special) for special in _SPECIAL):
        raise ValueError(f"{text!r} holds addresses that no network can have (like 10.207.0.0/16 can)")
    return text


_LARGEST = 12
# This host, loopback, link-local (where clouds answer), multicast and what is reserved.
_SPECIAL = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")))


def _apart(pools: tuple[str, ...]) -> tuple[str, ...]:
    for index, pool in enumerate(pools):
        for other in pools[:index]:
            if IPv4Network(pool).overlaps(IPv4Network(other)):
                raise ValueError(f"{pool!r} and {other!r} overlap")
    return pools


Pool = Annotated[str, AfterValidator(_pool)]
Pools = Annotated[tuple[Pool, ...], Listed, Field(min_length=1), AfterValidator(_apart)]

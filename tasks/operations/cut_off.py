"""Cut off: what the world reaches on the host now and no longer does behind our firewall, said before it is so. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

from tasks.facts import Machine
from tasks.facts.forwards import Forward
from tasks.model.port_types import NUMBERS
from tasks.operations.ports import process

# A DHCP client's, which asks first: what answers it is let in.
_CLIENTS = (("udp", 68), ("udp", 546))

# protocol, first and last port.
Ports = tuple[str, int, int]


def lines(machine: Machine, wan: Iterable[str], passing: Iterable[Ports], ours: frozenset[str]) -> list[str]:
    """What to say, with the settings that keep each of them open; empty when nothing is cut off.

    wan: interfaces that are filtered. passing: what is let in. ours: names of our services.
    """
    wan, passing = set(wan), list(passing)
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for protocol, ports, who, address in _reached(machine, wan, passing, ours):
        found.setdefault((protocol, ports, who, ""), []).append(address)
    for protocol, who, address, source in _without_ports(machine, wan, passing):
        found.setdefault((protocol, "", who, source), []).append(address)
    said = [
        f"    {_named(protocol, ports, addresses)}: {who}: {_setting(protocol, ports, source)}"
        for (protocol, ports, who, source), addresses in sorted(
            found.items(), key=lambda item: _order(*item[0])
        )
    ]
    unread = [item for item in machine.behind.forwards if not item.known]
    said += [f"    what {item.rule} leads on: {item.to}: its ports" for item in unread]
    return [_HEAD, *said] if said else []


_HEAD = (
    "firewall: the world no longer reaches these ports of the host; to keep one open, add what stands behind it to "
    "`open_ports`:"
)


def _order(protocol: str, ports: str, who: str, source: str) -> tuple[str, int, str, str]:
    return protocol, int(ports.partition("-")[0] or 0), who, source


def _named(protocol: str, ports: str, addresses: Iterable[str]) -> str:
    where = " and ".join(sorted(filter(None, set(addresses))))
    return " ".join(filter(None, (protocol, ports, f"on {where}" if where else "")))


def _setting(protocol: str, ports: str, source: str = "") -> str:
    found: dict[str, object] = {}
    if ports:
        found["port"] = ports if "-" in ports else int(ports)
    if protocol != "tcp":
        found["protocol"] = int(protocol) if protocol.isdecimal() else protocol
    if source:
        found["from"] = [source]
    return json.dumps(found)


def _reached(
    machine: Machine, wan: set[str], passing: list[Ports], ours: frozenset[str]
) -> Iterator[tuple[str, str, str, str]]:
    """Protocol, ports, who listens, on which address."""
    addresses = machine.access.addresses

    def closes(protocol: str, first: int, last: int, address: str) -> bool:
        return not _passes(passing, protocol, first, last) and _faces(address, addresses, wan)

    for item in machine.published:
        if item.service not in ours and closes(item.protocol, item.first, item.last, item.address):
            yield (
                item.protocol,
                _range(item.first, item.last),
                f"container {item.container}",
                _shown(item.address),
            )
    published = {
        (item.protocol, port) for item in machine.published for port in range(item.first, item.last + 1)
    }
    for each in machine.listeners:
        key = (each.protocol, each.port)
        if each.protocol == "raw" or key in published or key in _CLIENTS:
            continue
        if closes(*key, each.port, each.address):
            who = process(each) if each.process else "the kernel itself (WireGuard, NFS)"
            yield each.protocol, str(each.port), who, _shown(each.address)
    for forward, protocol, first, last in _led_on(machine, wan):
        there = own(forward.address, addresses) and (protocol, first) not in published
        if there and closes(protocol, first, last, forward.address or "*"):
            yield protocol, _range(first, last), leads(forward), _shown(forward.address)


def _led_on(machine: Machine, wan: set[str]) -> Iterator[tuple[Forward, str, int, int]]:
    """Rules that lead ports on which came over these interfaces: with protocol, first and last port of each."""
    for item in machine.behind.forwards:
        if item.known and over(item.interface, wan) and not whole(item):
            for protocol in (item.protocol,) if item.protocol else ("tcp", "udp"):
                for first, last in item.ports or ((1, 65535),):
                    if protocol in ("tcp", "udp"):
                        yield item, protocol, first, last


def over(interface: str, wan: set[str]) -> bool:
    """Rules may name several at once: ``eth+``, ``eth*``."""
    start = interface.rstrip("+*")
    return not interface or any(
        name == interface or (start != interface and name.startswith(start)) for name in wan
    )


def whole(forward: Forward) -> bool:
    """Whether it leads an address on with all its ports."""
    return bool(forward.address) and not forward.ports


def own(address: str, addresses: Mapping[str, str]) -> bool:
    """Whether it is the host's; none is any of them."""
    return not address or address in addresses


def leads(forward: Forward) -> str:
    """In words."""
    return f"led on to {forward.to} ({forward.rule})"


def _without_ports(
    machine: Machine, wan: set[str], passing: list[Ports]
) -> Iterator[tuple[str, str, str, str]]:
    """Protocol, who takes it, on which address, from where."""
    addresses = machine.access.addresses
    found = [
        (_NAMES.get(each.port, str(each.port)), process(each), _shown(each.address), "")
        for each in machine.listeners
        if each.protocol == "raw" and each.port not in _NEVER and _faces(each.address, addresses, wan)
    ]
    tunnels = [item for item in machine.behind.tunnels if item.source not in addresses]
    found += [(item.protocol, item.who, "", item.source) for item in tunnels]
    found += [
        (item.protocol, leads(item), _shown(item.address), "")
        for item in machine.behind.forwards
        if item.known and item.protocol not in ("", "tcp", "udp", *_ICMP) and over(item.interface, wan)
    ]
    if not any(item.who == "IPsec" for item in tunnels):
        keys = [each for each in machine.listeners if (each.protocol, each.port) == ("udp", 500)]
        found += [("esp", f"IPsec of {process(each)}", "", "") for each in keys if each.process]
    yield from (item for item in dict.fromkeys(found) if not _passes(passing, item[0], 1, 65535))


# What an echo, a neighbour's or a router's advertisement comes in by; TCP, UDP and "any" are not asked for by number.
_NEVER = (1, 58, 6, 17, 255)
_ICMP = ("icmp", "icmpv6", "ipv6-icmp")
_NAMES = {number: name for name, number in NUMBERS.items()}


def _passes(passing: Iterable[Ports], protocol: str, first: int, last: int) -> bool:
    return any(name == protocol and low <= first and last <= high for name, low, high in passing)


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _faces(address: str, addresses: Mapping[str, str], wan: set[str]) -> bool:
    """Whether what is bound to it is asked over one of these interfaces, and from farther than the next wire."""
    text, _, interface = address.partition("%")
    if interface and interface not in wan:
        return False
    if text == "*":
        return True
    bound = ip_address(text)
    if bound.is_unspecified:
        return True
    if bound.is_loopback or bound.is_link_local or bound.is_multicast:
        return False
    return addresses.get(text, "") in (*wan, "")


def _shown(address: str) -> str:
    return f"[{address}]" if ":" in address else address

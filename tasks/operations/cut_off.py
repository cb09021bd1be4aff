"""Cut off: what the world reaches on the host now and no longer does behind our firewall, said before it is so. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

from tasks.facts import Machine
from tasks.operations.ports import process

# A DHCP client's, which asks first: what answers it is let in.
_CLIENTS = (("udp", 68), ("udp", 546))

# protocol, first and last port.
Ports = tuple[str, int, int]


def lines(machine: Machine, wan: Iterable[str], passing: Iterable[Ports], ours: frozenset[str]) -> list[str]:
    """What to say, with the settings that keep each of them open; empty when nothing is cut off.

    wan: interfaces that are filtered. passing: what is let in. ours: names of our services.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for protocol, ports, who, address in _reached(machine, set(wan), list(passing), ours):
        found.setdefault((protocol, ports, who), []).append(address)
    said = [
        f"    {protocol} {ports} on {' and '.join(sorted(set(addresses)))}: {who}: {_setting(protocol, ports)}"
        for (protocol, ports, who), addresses in sorted(
            found.items(), key=lambda item: (item[0][0], int(item[0][1].partition("-")[0]))
        )
    ]
    return [_HEAD, *said] if said else []


_HEAD = (
    "firewall: the world no longer reaches what listens on these ports of the host; "
    "to keep one open, add what stands behind it to `open_ports`:"
)


def _setting(protocol: str, ports: str) -> str:
    port = f'"{ports}"' if "-" in ports else ports
    return f'{{"port": {port}}}' if protocol == "tcp" else f'{{"port": {port}, "protocol": "{protocol}"}}'


def _reached(
    machine: Machine, wan: set[str], passing: list[Ports], ours: frozenset[str]
) -> Iterator[tuple[str, str, str, str]]:
    """Protocol, ports, who listens, on which address."""
    addresses = machine.access.addresses

    def closes(protocol: str, first: int, last: int, address: str) -> bool:
        through = any(name == protocol and low <= first and last <= high for name, low, high in passing)
        return not through and _faces(address, addresses, wan)

    for item in machine.published:
        if item.service not in ours and closes(item.protocol, item.first, item.last, item.address):
            ports = str(item.first) if item.first == item.last else f"{item.first}-{item.last}"
            yield item.protocol, ports, f"container {item.container}", _shown(item.address)
    published = {
        (item.protocol, port) for item in machine.published for port in range(item.first, item.last + 1)
    }
    for each in machine.listeners:
        key = (each.protocol, each.port)
        if key not in published and key not in _CLIENTS and closes(*key, each.port, each.address):
            who = process(each) if each.process else "the kernel itself (WireGuard, NFS)"
            yield each.protocol, str(each.port), who, _shown(each.address)


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

"""Guests: addresses behind the host that the world reaches through it now, and no longer does behind our firewall. Pure."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from tasks.facts import Machine
from tasks.operations import cut_off

Range = IPv4Network | IPv6Network


def lines(machine: Machine, wan: Iterable[str], passing: Iterable[str]) -> list[str]:
    """The same of addresses behind the host. passing: ranges that are let through, or Docker's."""
    wan = set(wan)
    found = dict.fromkeys(_behind(machine, wan))
    open_ = [ip_network(text) for text in passing]
    said = [
        f'    {who}: "{_text(to)}"' for to, who in found if not any(_within(to, network) for network in open_)
    ]
    return [_GUESTS, *said] if said else []


_GUESTS = (
    "firewall: the world no longer reaches these addresses behind the host; to keep one reachable, add what stands "
    "behind it to `guests`:"
)


def _behind(machine: Machine, wan: set[str]) -> Iterator[tuple[Range, str]]:
    """Ranges that the internet knows, and what leads to them."""
    around = machine.behind
    routes: list[tuple[Range, str]] = [*around.routes]
    routes += [(item.to, item.device) for item in machine.surroundings.routes if not item.everybody]
    for to, device in routes:
        local = to.is_loopback or to.is_link_local or to.is_multicast
        if to.version in around.forwarding and to.is_global and not local and device not in (*wan, "lo", ""):
            yield to, f"{_text(to)} over {device}"
    for item in around.forwards:
        foreign = item.address and not cut_off.own(item.address, machine.access.addresses)
        if (
            item.known
            and cut_off.over(item.interface, wan)
            and (cut_off.whole(item) or foreign)
            and item.address
        ):
            to = ip_network(item.address, strict=False)
            if not foreign or to.is_global:
                yield to, f"{_text(to)}, {cut_off.leads(item)}"


def _text(to: Range) -> str:
    return str(to.network_address if to.num_addresses == 1 else to)


def _within(inner: Range, outer: Range) -> bool:
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def refusals(machine: Machine, wan: Iterable[str]) -> Iterator[str]:
    """Guests on a bridge that faces the world, whose packets the kernel shows to firewalls: to ours, and to Docker's."""
    for bridge, ports in machine.behind.bridges.items():
        if bridge in wan and machine.behind.filtered:
            yield (
                f"firewall: guests share the bridge {bridge} with the host ({', '.join(ports)}), and firewalls see what is bridged "
                "to them, so that Docker's and ours would cut them off: put br_netfilter into "
                "/etc/modules-load.d/br_netfilter.conf, and net.bridge.bridge-nf-call-iptables = 0 and "
                "net.bridge.bridge-nf-call-ip6tables = 0 into /etc/sysctl.d/br_netfilter.conf, then `modprobe br_netfilter; "
                "sysctl --system`"
            )

"""Guests: the exact lines for addresses behind the host that the world no longer reaches, and when it is refused."""

from ipaddress import IPv4Network, IPv6Network

import pytest

from tasks.facts import Machine
from tasks.facts.access import Access
from tasks.facts.behind import Behind
from tasks.facts.forwards import Forward
from tasks.facts.surroundings import Route, Surroundings
from tasks.operations import guests

ADDRESSES = {"198.51.100.7": "eth0", "192.0.96.1": "virbr1"}
HEAD = (
    "firewall: the world no longer reaches these addresses behind the host; to keep one reachable, add what stands "
    "behind it to `guests`:"
)


def machine(*routes: str, around: Behind) -> Machine:
    pairs = [text.split() for text in routes]
    found = tuple(Route(IPv4Network(to), device, everybody=to.endswith("/0")) for to, device in pairs)
    return Machine(access=Access(addresses=ADDRESSES), surroundings=Surroundings(routes=found), behind=around)


def lines(*routes: str, around: Behind, passing: tuple[str, ...] = ("10.207.0.0/16",)) -> list[str]:
    return guests.lines(machine(*routes, around=around), ("eth0",), passing)


BOTH = frozenset({4, 6})


def test_what_is_routed_or_led_on_as_a_whole_is_named_with_the_setting_that_keeps_it() -> None:
    around = Behind(
        forwards=(
            Forward("", (), "192.168.122.11", "iptables -t nat, PREROUTING", address="198.51.100.7"),
            Forward("tcp", ((25, 25),), "10.0.0.5", "iptables -t nat, PREROUTING", address="192.0.97.9"),
        ),
        routes=((IPv6Network("2a00:db8:8::/64"), "lxdbr0"),),
        forwarding=BOTH,
    )
    assert lines("192.0.96.0/29 virbr1", "192.0.98.5/32 vmbr0", around=around) == [
        HEAD,
        '    2a00:db8:8::/64 over lxdbr0: "2a00:db8:8::/64"',
        '    192.0.96.0/29 over virbr1: "192.0.96.0/29"',
        '    192.0.98.5 over vmbr0: "192.0.98.5"',
        '    198.51.100.7, led on to 192.168.122.11 (iptables -t nat, PREROUTING): "198.51.100.7"',
        '    192.0.97.9, led on to 10.0.0.5 (iptables -t nat, PREROUTING): "192.0.97.9"',
    ]


@pytest.mark.parametrize(
    ("route", "forwarding", "passing"),
    [
        ("192.168.122.0/24 virbr0", BOTH, ()),
        ("192.0.96.0/29 eth0", BOTH, ()),
        ("192.0.96.0/29 virbr1", frozenset(), ()),
        ("192.0.96.0/29 virbr1", frozenset({6}), ()),
        ("0.0.0.0/0 virbr1", BOTH, ()),
        ("192.0.96.0/29 virbr1", BOTH, ("192.0.96.0/24",)),
        ("100.64.0.0/10 tailscale0", BOTH, ()),
    ],
)
def test_what_the_world_never_reached_or_still_does_is_not_named(
    route: str, forwarding: frozenset[int], passing: tuple[str, ...]
) -> None:
    assert lines(route, around=Behind(forwarding=forwarding), passing=passing) == []


def test_guests_on_a_bridge_are_refused_where_firewalls_see_them() -> None:
    around = Behind(bridges={"br0": ("vnet0", "vnet1"), "virbr0": ("vnet2",)}, filtered=True)
    assert list(guests.refusals(machine(around=around), ("br0",))) == [
        (
            "firewall: guests share the bridge br0 with the host (vnet0, vnet1), and firewalls see what is bridged to them, so that "
            "Docker's and ours would cut them off: put br_netfilter into /etc/modules-load.d/br_netfilter.conf, and "
            "net.bridge.bridge-nf-call-iptables = 0 and net.bridge.bridge-nf-call-ip6tables = 0 into "
            "/etc/sysctl.d/br_netfilter.conf, then `modprobe br_netfilter; sysctl --system`"
        )
    ]
    shown = Behind(bridges={"br0": ("vnet0",)}, filtered=False)
    assert list(guests.refusals(machine(around=shown), ("br0",))) == []
    assert list(guests.refusals(machine(around=around), ("eth0",))) == []

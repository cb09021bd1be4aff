"""Surroundings: what ip, ss, wg and resolv.conf print, and whose ranges those are."""

import subprocess
from ipaddress import IPv4Address, IPv4Network

import pytest

from tasks.facts.surroundings import QUESTION, Route, Surroundings, surroundings


def around(*lines: str) -> Surroundings:
    """What MachineFact makes of these lines."""
    values: dict[str, list[str]] = {}
    for line in lines:
        key, _, value = line.partition(" ")
        values.setdefault(key, []).append(value)
    return surroundings(values)


def claims(*lines: str, bridges: frozenset[str] = frozenset()) -> list[str]:
    """Each range and whose it is."""
    return [f"{claim.range} {claim.holder}" for claim in around(*lines).claims(bridges)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ssh 172.19.77.5", ["172.19.77.0/24 172.19.77.5, from where somebody is logged in over SSH"]),
        (
            "ssh [::ffff:172.19.77.5]",
            ["172.19.77.0/24 172.19.77.5, from where somebody is logged in over SSH"],
        ),
        ("ssh [2001:db8::1]", []),
        ("ssh fe80::1%eth0", []),
        ("resolver 172.20.0.2", ["172.20.0.2/32 the resolver 172.20.0.2"]),
        ("resolver 127.0.0.53", []),
        ("resolver fe80::1%eth0", []),
        ("resolver dns.example", []),
        ("inet eth1 10.1.2.3/16 brd 10.1.255.255", ["10.1.0.0/16 eth1's own network 10.1.0.0/16"]),
        ("inet lo 127.0.0.1/8 scope host lo", []),
        (
            "inet tun0 10.8.0.2 peer 10.9.0.1/32 scope global tun0",
            ["10.8.0.2/32 tun0's own network 10.8.0.2/32", "10.9.0.1/32 tun0's own network 10.9.0.1/32"],
        ),
        ("route 10.0.0.0/8 dev wg0 table 51820 scope link ", ["10.0.0.0/8 the route to 10.0.0.0/8 over wg0"]),
        ("route 10.5.0.9 via 10.1.0.1 dev eth1 ", ["10.5.0.9/32 the route to 10.5.0.9/32 over eth1"]),
        ("route unicast 10.5.0.0/24 dev eth1 ", ["10.5.0.0/24 the route to 10.5.0.0/24 over eth1"]),
        (
            r"route 10.6.0.0/16 \    nexthop via 10.1.0.1 dev eth1 weight 1",
            ["10.6.0.0/16 the route to 10.6.0.0/16 over eth1"],
        ),
        ("route local 10.5.0.0/24 dev lo table local", []),
        ("route default via 10.1.0.1 dev eth0 ", []),
        ("route 0.0.0.0/1 via 10.8.0.1 dev tun0 ", []),
        ("route 128.0.0.0/1 via 10.8.0.1 dev tun0 ", []),
        ("route blackhole 10.0.0.0/8 ", []),
        ("route broadcast 10.1.255.255 dev eth0 table local ", []),
        (
            "tunnel 10.7.0.0/24 10.8.0.0/24",
            ["10.7.0.0/24 the VPN's range 10.7.0.0/24", "10.8.0.0/24 the VPN's range 10.8.0.0/24"],
        ),
        ("tunnel 0.0.0.0/0 fd00::/8", []),
    ],
)
def test_a_range_is_somebodys(line: str, expected: list[str]) -> None:
    assert claims(line) == expected


DOCKER0 = (
    "inet docker0 172.17.0.1/16 brd 172.17.255.255 scope global docker0",
    "route 172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown ",
    "route local 172.17.0.1 dev docker0 table local proto kernel scope host src 172.17.0.1 ",
)


def test_dockers_own_bridges_and_whoever_is_behind_them_claim_nothing() -> None:
    inside = ("ssh 172.17.0.5", "resolver 172.17.0.1")
    assert claims(*DOCKER0, *inside, bridges=frozenset({"docker0"})) == []
    assert len(claims(*DOCKER0, *inside)) == 5


def test_the_way_out_is_as_narrow_as_its_narrowest_part() -> None:
    lines = [
        "mtu eth0 1500",
        "mtu eth1 1450",
        "mtu wg0 1420",
        "route default via 10.1.0.1 dev eth0 mtu lock 1400 ",
    ]
    found = around(*lines)
    assert found.routes == (Route(IPv4Network("0.0.0.0/0"), "eth0", everybody=True, mtu=1400),)
    assert [found.mtu(names) for names in (["eth0"], ["eth1"], ["eth0", "wg0"], ["eth1", "wg0"], ["eth9"], [])] == [
        1400, 1450, 1400, 1420, 0, 0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "mtu eth0",
        "mtu eth0 much",
        "inet eth0",
        "inet eth0 x",
        "route ",
        "route dev",
        "route 10.0.0.0/8 dev",
        "tunnel x",
    ],
)
def test_a_line_that_no_host_prints_is_an_error(line: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        around(line)


def test_what_this_machine_prints_is_read() -> None:
    """Its own ip and ss, not a copy of what they print."""
    printed = subprocess.run(
        ["sh", "-c", f"SSH_CONNECTION='192.0.2.77 1 192.0.2.2 22'\n{QUESTION}\nwait"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = around(*printed.splitlines())
    assert found.ssh[0] == IPv4Address("192.0.2.77")
    assert found.mtus["lo"] == 65536

"""Cut off: the exact lines for what the world no longer reaches, and none for what it never did or still does."""

import pytest

from tasks.facts import Machine
from tasks.facts.access import Access
from tasks.facts.listeners import Listener, Published
from tasks.operations import cut_off

HEAD = (
    "firewall: the world no longer reaches what listens on these ports of the host; "
    "to keep one open, add what stands behind it to `open_ports`:"
)
PASSING = [("tcp", 22, 22), ("tcp", 80, 80), ("udp", 443, 443), ("tcp", 6000, 6010)]
ADDRESSES = {"198.51.100.7": "eth0", "2001:db8::7": "eth0", "10.8.0.1": "wg0", "127.0.0.1": "lo"}


def lines(*listeners: Listener, published: tuple[Published, ...] = ()) -> list[str]:
    machine = Machine(listeners=listeners, published=published, access=Access(addresses=ADDRESSES))
    return cut_off.lines(machine, ("eth0",), PASSING, frozenset(("caddy",)))


def test_each_is_named_with_the_setting_that_keeps_it_open() -> None:
    assert lines(
        Listener("udp", "0.0.0.0", 51820),
        Listener("udp", "::", 51820),
        Listener("tcp", "*", 8443, "nginx", 911, "nginx.service"),
        Listener("tcp", "198.51.100.7", 3306, "mariadbd", 12),
        Listener("tcp", "0.0.0.0", 9000, "docker-proxy", 13),
        Listener("tcp", "::", 9000, "docker-proxy", 14),
        published=(
            Published("portainer", "", "tcp", "0.0.0.0", 9000, 9000),
            Published("portainer", "", "tcp", "::", 9000, 9000),
            Published("game", "", "udp", "0.0.0.0", 7000, 7010),
        ),
    ) == [
        HEAD,
        '    tcp 3306 on 198.51.100.7: mariadbd (12): {"port": 3306}',
        '    tcp 8443 on *: nginx (911, nginx.service): {"port": 8443}',
        '    tcp 9000 on 0.0.0.0 and [::]: container portainer: {"port": 9000}',
        '    udp 7000-7010 on 0.0.0.0: container game: {"port": "7000-7010", "protocol": "udp"}',
        (
            "    udp 51820 on 0.0.0.0 and [::]: the kernel itself (WireGuard, NFS): "
            '{"port": 51820, "protocol": "udp"}'
        ),
    ]


@pytest.mark.parametrize(
    ("protocol", "address", "port"),
    [
        ("tcp", "127.0.0.1", 5432),
        ("tcp", "::1", 5432),
        ("udp", "127.0.0.53%lo", 53),
        ("udp", "fe80::1%eth0", 5353),
        ("udp", "224.0.0.251", 5353),
        ("tcp", "10.8.0.1", 5432),
        ("udp", "0.0.0.0%wg0", 53),
        ("udp", "0.0.0.0", 68),
        ("udp", "::", 546),
        ("tcp", "0.0.0.0", 22),
        ("tcp", "*", 6005),
        ("udp", "*", 443),
    ],
)
def test_what_the_world_never_reached_or_still_does_is_not_named(
    protocol: str, address: str, port: int
) -> None:
    assert lines(Listener(protocol, address, port, "x", 9)) == []


def test_ours_are_not_named() -> None:
    ours = Published("caddy-proxy", "caddy", "tcp", "0.0.0.0", 8443, 8443)
    assert lines(Listener("tcp", "0.0.0.0", 8443, "docker-proxy", 9), published=(ours,)) == []


def test_a_published_range_that_is_not_open_as_a_whole_is_named() -> None:
    wider = Published("game", "", "tcp", "198.51.100.7", 6005, 6011)
    assert lines(published=(wider,)) == [
        HEAD,
        '    tcp 6005-6011 on 198.51.100.7: container game: {"port": "6005-6011"}',
    ]

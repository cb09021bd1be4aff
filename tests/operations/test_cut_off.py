"""Cut off: the exact lines for what the world no longer reaches, and none for what it never did or still does."""

import pytest

from tasks.facts import Machine
from tasks.facts.access import Access
from tasks.facts.behind import Behind, Tunnel
from tasks.facts.forwards import Forward
from tasks.facts.listeners import Listener, Published
from tasks.operations import cut_off

HEAD = (
    "firewall: the world no longer reaches these ports of the host; to keep one open, add what stands behind it to "
    "`open_ports`:"
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


def behind(
    *forwards: Forward, tunnels: tuple[Tunnel, ...] = (), listeners: tuple[Listener, ...] = ()
) -> list[str]:
    around = Behind(forwards=forwards, tunnels=tunnels)
    machine = Machine(listeners=listeners, access=Access(addresses=ADDRESSES), behind=around)
    return cut_off.lines(machine, ("eth0",), [*PASSING, ("gre", 1, 65535)], frozenset())


WHERE = "iptables -t nat, PREROUTING"


def test_what_rules_lead_on_is_named_as_the_sender_means_it() -> None:
    assert behind(
        Forward("tcp", ((2222, 2222),), "192.168.122.10:22", WHERE, interface="eth0"),
        Forward("udp", ((5000, 5010), (6000, 6000)), "192.168.122.12", WHERE, interface="eth+"),
        Forward("tcp", ((25, 25),), "10.0.0.5", WHERE, address="198.51.100.7"),
        Forward("", ((53, 53),), "10.0.0.6", WHERE),
        Forward("vrrp", (), "10.0.0.7", WHERE),
        Forward("", (), "dnat ip to tcp dport map @m", "nft's table inet mine", known=False),
    ) == [
        HEAD,
        '    tcp 25 on 198.51.100.7: led on to 10.0.0.5 (iptables -t nat, PREROUTING): {"port": 25}',
        '    tcp 53: led on to 10.0.0.6 (iptables -t nat, PREROUTING): {"port": 53}',
        '    tcp 2222: led on to 192.168.122.10:22 (iptables -t nat, PREROUTING): {"port": 2222}',
        '    udp 53: led on to 10.0.0.6 (iptables -t nat, PREROUTING): {"port": 53, "protocol": "udp"}',
        (
            "    udp 5000-5010: led on to 192.168.122.12 (iptables -t nat, PREROUTING): "
            '{"port": "5000-5010", "protocol": "udp"}'
        ),
        (
            "    udp 6000: led on to 192.168.122.12 (iptables -t nat, PREROUTING): "
            '{"port": 6000, "protocol": "udp"}'
        ),
        '    vrrp: led on to 10.0.0.7 (iptables -t nat, PREROUTING): {"protocol": "vrrp"}',
        "    what nft's table inet mine leads on: dnat ip to tcp dport map @m: its ports",
    ]


@pytest.mark.parametrize(
    "forward",
    [
        Forward("tcp", ((80, 80),), "10.0.0.5", WHERE),
        Forward("tcp", ((6001, 6009),), "10.0.0.5", WHERE),
        Forward("tcp", ((25, 25),), "10.0.0.5", WHERE, interface="wg0"),
        Forward("tcp", ((25, 25),), "10.0.0.5", WHERE, address="10.8.0.1"),
        Forward("tcp", ((443, 443),), "10.42.0.5", WHERE, address="10.43.0.1"),
        Forward("gre", (), "10.0.0.5", WHERE),
        Forward("icmp", (), "10.0.0.5", WHERE),
    ],
)
def test_what_is_led_on_from_elsewhere_or_stays_open_is_not_named(forward: Forward) -> None:
    assert behind(forward) == []


def test_protocols_without_ports_are_named_with_who_takes_them() -> None:
    assert behind(
        tunnels=(
            Tunnel("6in4", "the tunnel he6", "198.51.100.1"),
            Tunnel("gre", "the tunnel office"),
            Tunnel("igmp", "multicast groups that the host has joined on eth0"),
        ),
        listeners=(
            Listener("raw", "0.0.0.0", 112, "keepalived", 812, "keepalived.service"),
            Listener("raw", "*", 89, "bird", 813),
            Listener("raw", "*", 200, "odd", 814),
            Listener("raw", "*", 58, "systemd-network", 9),
            Listener("raw", "10.8.0.1", 89, "bird", 813),
            Listener("udp", "0.0.0.0", 500, "charon", 815),
        ),
    ) == [
        HEAD,
        '    200 on *: odd (814): {"protocol": 200}',
        '    6in4: the tunnel he6: {"protocol": "6in4", "from": ["198.51.100.1"]}',
        '    esp: IPsec of charon (815): {"protocol": "esp"}',
        '    igmp: multicast groups that the host has joined on eth0: {"protocol": "igmp"}',
        '    ospf on *: bird (813): {"protocol": "ospf"}',
        '    udp 500 on 0.0.0.0: charon (815): {"port": 500, "protocol": "udp"}',
        '    vrrp on 0.0.0.0: keepalived (812, keepalived.service): {"protocol": "vrrp"}',
    ]


def test_where_ipsec_says_who_is_there_only_they_are_named() -> None:
    assert behind(
        tunnels=(Tunnel("esp", "IPsec", "198.51.100.2"), Tunnel("esp", "IPsec", "198.51.100.7")),
        listeners=(Listener("udp", "10.8.0.1", 500, "charon", 815),),
    ) == [HEAD, '    esp: IPsec: {"protocol": "esp", "from": ["198.51.100.2"]}']

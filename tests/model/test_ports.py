"""Ports in settings: what opens something is taken as nft and sshd write it, anything else is refused with what was meant."""

from typing import Any

import pytest

from tests.samples import refusals, stack


def test_ports_networks_and_targets_are_written_as_their_programs_write_them() -> None:
    opened = [
        {"port": 8443},
        {"port": "6000-6010", "protocol": "udp", "from": ["198.51.100.7/32", "2001:DB8::/64"]},
    ]
    settings = stack(
        open_ports=opened, jump_to=["10.0.0.5:22", "db-1.example:2222", "[2001:db8::5]:22", "*:22"]
    )
    assert [(item.port, item.protocol, item.sources) for item in settings.open_ports] == [
        ("8443", "tcp", ()),
        ("6000-6010", "udp", ("198.51.100.7", "2001:db8::/64")),
    ]
    assert settings.jump_to == ("10.0.0.5:22", "db-1.example:2222", "[2001:db8::5]:22", "*:22")


NO_PROTOCOL = "is no protocol (tcp, udp, 6in4, ah, esp, gre, igmp, ipip, ospf, pim, vrrp, or a number)"
NEITHER = 'is no port (8443) and no range of ports ("6000-6010")'


@pytest.mark.parametrize(
    ("opened", "line"),
    [
        ({"port": "8443"}, f"open_ports.0.port: '8443' {NEITHER} (did you mean 8443?)"),
        ({"port": "8443/tcp"}, f"open_ports.0.port: '8443/tcp' {NEITHER} (did you mean 8443?)"),
        ({"port": "6000:6010"}, f"open_ports.0.port: '6000:6010' {NEITHER} (did you mean \"6000-6010\"?)"),
        ({"port": "6010-6000"}, f"open_ports.0.port: '6010-6000' {NEITHER} (did you mean \"6000-6010\"?)"),
        ({"port": "6000-70000"}, f"open_ports.0.port: '6000-70000' {NEITHER}"),
        ({"port": "https"}, f"open_ports.0.port: 'https' {NEITHER}"),
        ({"port": 0}, f"open_ports.0.port: 0 {NEITHER}"),
        ({"port": True}, f"open_ports.0.port: True {NEITHER}"),
        ({"protocol": "tcp"}, "open_ports.0.port: is required"),
        (
            {"port": 25, "protocol": "TCP"},
            f"open_ports.0.protocol: 'TCP' {NO_PROTOCOL} (did you mean 'tcp'?)",
        ),
        ({"port": 25, "protocol": "sctp"}, f"open_ports.0.protocol: 'sctp' {NO_PROTOCOL}"),
        ({"protocol": "50"}, f"open_ports.0.protocol: '50' {NO_PROTOCOL} (did you mean 'esp'?)"),
        ({"protocol": "IPsec"}, f"open_ports.0.protocol: 'IPsec' {NO_PROTOCOL} (did you mean 'esp'?)"),
        ({"protocol": 6}, f"open_ports.0.protocol: 6 {NO_PROTOCOL} (did you mean 'tcp'?)"),
        ({"protocol": 256}, f"open_ports.0.protocol: 256 {NO_PROTOCOL}"),
        ({"protocol": "icmp"}, "open_ports.0.protocol: 'icmp' comes in anyway: leave it out"),
        ({"protocol": 58}, "open_ports.0.protocol: 58 comes in anyway: leave it out"),
        ({"port": 500, "protocol": "esp"}, "open_ports.0.port: esp is opened as a whole: leave it out"),
        ({"protocol": "udp"}, "open_ports.0.port: is required"),
        ({"port": 25, "form": []}, "open_ports.0.form: unknown setting (did you mean 'from'?)"),
        ({"port": 25, "from": ["0.0.0.0/0"]}, "open_ports.0.from.0: '0.0.0.0/0' is everybody"),
        (
            {"port": 25, "from": "198.51.100.7"},
            "open_ports.0.from: has to be a list, and is text (did you mean ['198.51.100.7']?)",
        ),
    ],
)
def test_what_would_open_nothing_or_something_else_is_refused(opened: dict[str, Any], line: str) -> None:
    assert refusals(open_ports=[opened]) == [line]


def test_what_is_open_already_or_listens_on_loopback_alone_is_said() -> None:
    opened = [
        {"port": 443},
        {"port": 443, "protocol": "udp", "from": ["198.51.100.7"]},
        {"port": 8069},
        {"port": 8200},
        {"port": "1024-65535"},
        {"port": 8443},
        {"port": 8443},
        {"protocol": "esp"},
        {"protocol": 50},
    ]
    assert refusals(open_ports=opened) == [
        "open_ports.0: tcp 443 is caddy's and open to everybody: leave it out",
        "open_ports.1: udp 443 is caddy's and open to everybody: leave it out",
        "open_ports.2: 8069 is odoo's, on 127.0.0.1 alone: nothing would open",
        "open_ports.3: 8200 is vault's, on 127.0.0.1 alone: nothing would open",
        "open_ports.6: tcp 8443 is listed twice",
        "open_ports.8: esp is listed twice",
    ]


def test_guests_are_addresses_beside_dockers() -> None:
    assert stack(guests=["192.0.2.8/29", "2001:DB8::/64"]).guests == ("192.0.2.8/29", "2001:db8::/64")
    assert refusals(guests=["0.0.0.0/0"]) == ["guests.0: '0.0.0.0/0' is everybody"]
    assert refusals(guests=["10.207.9.0/24"]) == [
        (
            "guests.0: 10.207.9.0/24 lies in 10.207.0.0/16 of network_pools, where containers of ours are: nobody reaches "
            "them past Caddy"
        ),
    ]


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("10.0.0.5", "'10.0.0.5' is no host with a port (like 10.0.0.5:22) (did you mean '10.0.0.5:22'?)"),
        ("root@10.0.0.5:22", "'root@10.0.0.5:22' is no host with a port (like 10.0.0.5:22)"),
        ("2001:db8::5:22", "'2001:db8::5:22' needs brackets (did you mean '[2001:db8::5]:22'?)"),
        ("10.0.0.5:0", "'10.0.0.5:0' is no host with a port (like 10.0.0.5:22)"),
        ("a b:22", "'a b:22' is no host with a port (like 10.0.0.5:22)"),
        ("*:*", "'*:*' is no host with a port (like 10.0.0.5:22)"),
    ],
)
def test_where_people_jump_to_has_a_port(target: str, line: str) -> None:
    assert refusals(jump_to=[target]) == [f"jump_to.0: {line}"]

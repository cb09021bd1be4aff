"""Listeners: exact values from what ss, systemd and docker print, and an error for a line that is cut."""

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import MachineFact
from tasks.facts.listeners import Listener, Published
from tests.facts.test_facts import MACHINE

BARE = [line for line in MACHINE if not line.startswith(("listener", "publisher"))]
LINES = [
    'listener tcp LISTEN 0 511 *:8080 *:* users:(("node /srv/app",pid=77,fd=21))',
    'listener tcp LISTEN 0 4096 [::]:2222 [::]:* users:(("sshd",pid=812,fd=3),("systemd",pid=1,fd=131))',
    'listener tcp LISTEN 0 4096 0.0.0.0:9090 0.0.0.0:* users:(("systemd",pid=1,fd=93))',
    "listener udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*",
    'listener udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=5,fd=13))',
    'listener udp UNCONN 0 0 [fe80::1]%eth0:546 [::]:* users:(("systemd-network",pid=6,fd=3))',
    "unit_of 77 app.service",
    "unit_of 812 ssh.service",
    "unit_of 1 init.scope",
    "socket [::]:9090 cockpit.socket cockpit.service",
    "socket /run/dbus/system_bus_socket dbus.socket dbus.service",
]


def test_who_listens_where_is_read() -> None:
    assert MachineFact().process([*BARE, *LINES]).listeners == (
        Listener("tcp", "*", 8080, "node /srv/app", 77, "app.service"),
        Listener("tcp", "::", 2222, "sshd", 812, "ssh.service"),
        Listener("tcp", "0.0.0.0", 9090, "systemd", 1, "cockpit.socket"),
        Listener("udp", "0.0.0.0", 51820),
        Listener("udp", "127.0.0.53%lo", 53, "systemd-resolve", 5),
        Listener("udp", "fe80::1%eth0", 546, "systemd-network", 6),
    )


def test_what_containers_publish_is_read() -> None:
    lines = [
        "publisher web shop 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 9000/tcp",
        "publisher game  10.0.0.7:6000-6010->6000-6010/udp, :::53->53/udp",
        "publisher db  5432/tcp",
        "publisher idle  ",
    ]
    assert MachineFact().process([*BARE, *lines]).published == (
        Published("web", "shop", "tcp", "0.0.0.0", 8080, 8080),
        Published("web", "shop", "tcp", "::", 8080, 8080),
        Published("game", "", "udp", "10.0.0.7", 6000, 6010),
        Published("game", "", "udp", "::", 53, 53),
    )


@pytest.mark.parametrize("line", ["listener tcp LISTEN 0", "listener tcp LISTEN 0 0 *:x *:*", "unit_of 77"])
def test_a_cut_line_is_an_error(line: str) -> None:
    with pytest.raises(FactProcessError, match="cannot read what the host says of itself"):
        MachineFact().process([*BARE, line])

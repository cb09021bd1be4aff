"""Firewall: the exact table, when it is loaded anew, and what a host says of it."""

import hashlib
import subprocess
from typing import Any

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks import firewall
from tasks.facts import Machine, MachineFact
from tasks.facts.access import FIREWALL, MOMENT, Access
from tasks.operations import apt
from tasks.run import Refused
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake
from tests.samples import ROOT, refusals, stack

TABLE = """table inet smarter_fw
delete table inet smarter_fw
table inet smarter_fw {
    # Interfaces that face the world.
    set wan {
        type ifname
        elements = { "eth0", "ens7" }
    }
    # The other nodes.
    set peers {
        type ipv4_addr
        flags interval
        auto-merge
        elements = { 203.0.113.7, 198.51.100.0/24 }
    }
    set peers6 {
        type ipv6_addr
        flags interval
        auto-merge
        elements = { 2001:db8:7::/64 }
    }
    # While the proxy is replaced (tasks/operations/door.py).
    set held {
        type inet_service
        flags timeout
    }
    chain pre {
        type filter hook prerouting priority -150; policy accept;
        iifname != @wan accept
        # Out of IPsec: as from any other VPN.
        meta ipsec exists accept
        ct state established,related accept
        ct state invalid drop
        meta l4proto { icmp, ipv6-icmp } accept
        ip6 saddr fe80::/10 udp dport 546 accept
        # What is for somebody else: a container's own address, asked for by a neighbour on the same wire.
        fib daddr type != { local, broadcast, multicast } drop
        tcp dport @held drop
        udp dport @held drop
        tcp dport { 80, 443, 2222 } accept
        udp dport 443 accept
        ip saddr @peers tcp dport { 2377, 7946 } accept
        ip saddr @peers udp dport { 4789, 7946 } accept
        ip saddr @peers meta l4proto esp accept
        ip6 saddr @peers6 tcp dport { 2377, 7946 } accept
        ip6 saddr @peers6 udp dport { 4789, 7946 } accept
        ip6 saddr @peers6 meta l4proto esp accept
        drop
    }
}
"""


def rules(access: Access, **settings: Any) -> str:
    """Without the comment above them."""
    return "".join(
        line for line in firewall.text(access, stack(**settings)).splitlines(keepends=True) if line[0] != "#"
    )


def test_the_table_lets_in_what_is_meant_to_be_open_and_what_the_other_nodes_say() -> None:
    peers = ["203.0.113.7/32", "2001:DB8:7:0::/64", "198.51.100.0/24"]
    assert rules(Access(wan=("eth0", "ens7"), ssh_ports=(2222,)), peers=peers) == TABLE


def test_a_host_without_other_nodes_has_none_to_let_in() -> None:
    text = rules(Access(wan=("eth0",), ssh_ports=(22,)))
    assert "        tcp dport { 22, 80, 443 } accept\n" in text
    assert text.count("elements") == 1


def test_settings_open_more_to_everybody_or_to_some() -> None:
    opened = [
        {"port": 8443},
        {"port": "6000-6010", "protocol": "udp"},
        {"port": 5432, "from": ["198.51.100.7", "198.51.100.0/24", "2001:db8::/64"]},
    ]
    text = rules(Access(wan=("eth0",), ssh_ports=(22,)), open_ports=opened)
    assert text.partition("        udp dport 443 accept\n")[2].splitlines()[:4] == [
        "        tcp dport 8443 accept",
        "        udp dport 6000-6010 accept",
        "        ip saddr { 198.51.100.0/24 } tcp dport 5432 accept",
        "        ip6 saddr { 2001:db8::/64 } tcp dport 5432 accept",
    ]


def test_protocols_without_ports_are_opened_by_their_numbers() -> None:
    opened: list[dict[str, Any]] = [
        {"protocol": "vrrp"},
        {"protocol": "6in4", "from": ["198.51.100.1"]},
        {"protocol": 132},
    ]
    text = rules(Access(wan=("eth0",), ssh_ports=(22,)), open_ports=opened)
    assert text.partition("        udp dport 443 accept\n")[2].splitlines()[:3] == [
        "        meta l4proto 112 accept",
        "        ip saddr { 198.51.100.1/32 } meta l4proto 41 accept",
        "        meta l4proto 132 accept",
    ]


def test_guests_are_let_through_before_anything_is_asked_of_a_packet_and_the_host_itself_is_none() -> None:
    guests = ["192.0.96.0/29", "192.0.96.4/30", "198.51.100.9", "2001:db8:8::/64"]
    text = rules(Access(wan=("eth0",), ssh_ports=(22,)), guests=guests)
    assert text.partition("        meta ipsec exists accept\n")[2].splitlines()[:4] == [
        "        ip daddr { 198.51.100.9 } accept",
        "        ip daddr { 192.0.96.0/29 } fib daddr type != local accept",
        "        ip6 daddr { 2001:db8:8::/64 } fib daddr type != local accept",
        "        ct state established,related accept",
    ]


@pytest.mark.parametrize(
    ("ways", "opened"),
    [
        ({2222: "eth0"}, ['        tcp dport 2222 accept comment "a run came in here"\n']),
        ({2222: ""}, ['        tcp dport 2222 accept comment "a run came in here"\n']),
        ({2222: "wg0"}, []),
        ({22: "eth0", 443: ""}, []),
    ],
)
def test_the_port_that_a_run_came_in_by_stays_open(ways: dict[int, str], opened: list[str]) -> None:
    text = rules(Access(wan=("eth0",), ssh_ports=(22,), ways=ways))
    assert [line for line in text.splitlines(keepends=True) if "comment" in line] == opened


def test_the_setting_says_which_interfaces_face_the_world() -> None:
    assert 'elements = { "ppp0" }' in rules(Access(wan=("eth0",)), wan_interfaces=["ppp0"])


def test_a_host_without_a_default_route_has_to_be_told() -> None:
    with fake({}), pytest.raises(Refused) as refused:
        firewall.text(Access(), stack())
    assert str(refused.value) == (
        "firewall: @fake/one has no default route, so that nothing says which interface faces the world: "
        'set wan_interfaces = ["eth0"]'
    )


def test_settings_that_would_open_or_close_everything_are_refused() -> None:
    assert refusals(peers=["0.0.0.0/0", "10.0.0.1/8", "node-2"], wan_interfaces=["lo", 'eth0" }']) == [
        "peers.0: '0.0.0.0/0' is everybody",
        "peers.1: '10.0.0.1/8' names a host and its network at once (did you mean '10.0.0.0/8'?)",
        "peers.2: 'node-2' is no address or network (like 203.0.113.7 or 2001:db8:7::/64)",
        "wan_interfaces.0: 'lo' is no network interface (like eth0)",
        "wan_interfaces.1: 'eth0\" }' is no network interface (like eth0)",
    ]


def signature(text: str) -> str:
    return f"{hashlib.sha256(text.encode()).hexdigest()} 644 root:root"


UNIT = (ROOT / "files/units/smarteros-firewall.service").read_text()


@pytest.mark.parametrize("name", ["smarteros-firewall", "smarteros-revert"])
def test_what_starts_early_does_not_start_while_tmp_is_emptied(name: str) -> None:
    lines = (ROOT / f"files/units/{name}.service").read_text().splitlines()
    after = next(line for line in lines if line.startswith("After="))
    assert "DefaultDependencies=no" in lines
    assert "systemd-tmpfiles-setup.service" in after.split()


RIGHT = [
    *MACHINE,
    "wan eth0",
    "ssh_port 22",
    f"unit smarteros-firewall.service {signature(UNIT)}",
    f"access_file {FIREWALL} {signature(firewall.text(Access(wan=('eth0',), ssh_ports=(22,)), stack()))}",
    "firewall_enabled yes",
    "nft yes",
    "firewall_loaded yes",
]


def table(lines: list[str]) -> list[str]:
    """The last line of each command that the operation yields."""
    with fake({"/etc/os-release": lines}):
        return [str(command).splitlines()[-1] for command in commands(firewall.table)]


LOAD = ["systemctl restart smarteros-firewall.service", "FunctionCommand(run, ())", "rm -rf proven"]


def loads(lines: list[str]) -> bool:
    found = table(lines)
    return [found[0], found[-1]] == [LOAD[0], LOAD[-1]] and len(found) == 3 if found else False


def test_a_firewall_that_is_right_is_left_alone() -> None:
    assert table(RIGHT) == []


@pytest.mark.parametrize(
    "missing",
    ["unit ", "access_file ", "firewall_enabled ", "firewall_loaded "],
    ids=lambda key: str(key).strip(),
)
def test_what_is_missing_of_it_is_put_right_and_proven(missing: str) -> None:
    assert loads([line for line in RIGHT if not line.startswith(missing)])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("wan eth0", "wan eth1"),
        ("ssh_port 22", "ssh_port 2222"),
        (" 644 root", " 666 root"),
        (" root:root", " a:a"),
    ],
)
def test_what_has_changed_beside_it_makes_other_rules(old: str, new: str) -> None:
    assert loads([line.replace(old, new) for line in RIGHT])


def test_a_host_without_nft_gets_it_from_its_own_packages_first() -> None:
    bare = [line for line in RIGHT if not line.startswith(("nft", "firewall_loaded"))]
    with fake({"/etc/os-release": bare}):
        first, *rest = (str(command) for command in commands(firewall.table))
    assert first == apt.install("nftables")
    assert len(rest) == 3


def test_what_a_host_says_of_its_firewall_is_read() -> None:
    access = MachineFact().process([*RIGHT, "wan wg0", "armed yes"]).access
    assert (access.armed, access.wan, access.nft, access.ssh_ports) == (True, ("eth0", "wg0"), True, (22,))
    assert (access.firewall_enabled, access.firewall_loaded) == (True, True)
    assert MachineFact().process(MACHINE).access == Access()


def access(*lines: str) -> Access:
    return MachineFact().process([*MACHINE, *lines]).access


def test_ports_are_sshds_own_or_those_of_its_addresses_and_those_of_its_socket() -> None:
    assert access("ssh_port 22", "ssh_listen 22", "ssh_listen 2022").ssh_ports == (22, 2022)
    assert access("ssh_port 22", "ssh_listen 2022").ssh_ports == (2022,)
    socket = (
        "ssh_socket Accept=no",
        "ssh_socket Listen=[::]:2222 (Stream)",
        "ssh_socket Listen=/run/x (Stream)",
    )
    assert access("ssh_port 22", *socket).ssh_ports == (22, 2222)


@pytest.mark.parametrize(
    ("lines", "ways"),
    [
        (["way 192.0.2.9 50000 198.51.100.7 2222", "own_address 198.51.100.7 eth0"], {2222: "eth0"}),
        (["way 192.0.2.9 50000 198.51.100.7 2222"], {2222: ""}),
        (["way "], {}),
        (["way_noted 2222", 'listener tcp LISTEN 0 9 *:2222 *:* users:(("sshd",pid=9,fd=3))'], {2222: ""}),
        (["way_noted 2222", 'listener tcp LISTEN 0 9 *:2222 *:* users:(("nginx",pid=9,fd=3))'], {}),
        (["way_noted 2222"], {}),
    ],
)
def test_the_way_in_is_that_of_this_run_and_of_earlier_ones_while_it_leads_in(
    lines: list[str], ways: dict[int, str]
) -> None:
    assert access(*lines).ways == ways


@pytest.mark.parametrize(
    ("lines", "unit", "socket", "live"),
    [
        (["ssh_unit ssh.service active", "ssh_newer yes"], "ssh.service", "", True),
        (["ssh_unit ssh.service active"], "ssh.service", "", False),
        (["ssh_unit mine.service inactive"], "mine.service", "", False),
        (["ssh_unit ssh.service active", "ssh_socket Accept=no"], "ssh.service", "daemon", False),
        (["ssh_unit ssh.service inactive", "ssh_socket Accept=no"], "ssh.service", "daemon", True),
        (["ssh_unit ssh.service inactive", "ssh_socket Accept=yes"], "ssh.service", "each", True),
    ],
)
def test_who_serves_ssh_and_whether_it_has_read_our_settings(
    lines: list[str], unit: str, socket: str, live: bool
) -> None:
    found = access(*lines, "ssh_effective yes")
    assert (found.ssh_unit, found.ssh_socket, found.ssh_live) == (unit, socket, live)
    assert not access(*lines).ssh_live


def test_what_is_cut_off_is_said_before_the_table_changes(caplog: pytest.LogCaptureFixture) -> None:
    listener = 'listener tcp LISTEN 0 9 0.0.0.0:8443 0.0.0.0:* users:(("nginx",pid=9,fd=3))'
    said = [
        (
            "firewall: the world no longer reaches these ports of the host; to keep one open, add what stands behind it to "
            "`open_ports`:"
        ),
        '    tcp 8443 on 0.0.0.0: nginx (9): {"port": 8443}',
    ]
    bare = [line for line in RIGHT if not line.startswith(("nft", "firewall_loaded"))]
    for lines, expected in ((bare, said), (RIGHT, [])):
        with fake({"/etc/os-release": [*lines, listener]}), caplog.at_level("WARNING"):
            commands(firewall.table)
        assert [record.message.partition("] ")[2] or record.message for record in caplog.records] == expected
        caplog.clear()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('wan eth0" } ; flush ruleset', "'eth0\" } ; flush ruleset' is no network interface"),
        ("ssh_port 70000", "'70000' is no port"),
        ("way 192.0.2.9 1 198.51.100.7 22;", "invalid literal for int() with base 10: '22;'"),
        ("access_file /etc/shadow", "dictionary update sequence element #0 has length 1; 2 is required"),
    ],
)
def test_what_no_host_says_is_an_error(line: str, why: str) -> None:
    with pytest.raises(FactProcessError) as error:
        MachineFact().process([*MACHINE, line])
    assert str(error.value) == f"cannot read what the host says of itself: {why}"


def test_the_questions_are_valid_shell() -> None:
    checked = subprocess.run(["sh", "-n"], input=MachineFact().command(), text=True, check=False)
    assert checked.returncode == 0


def test_unit_and_fact_take_the_same_digest_of_what_is_loaded() -> None:
    listing = f"sha256sum <{FIREWALL}; /usr/sbin/nft -s list table inet smarter_fw"
    assert f"'{{ {listing}; }} | sha256sum >/run/smarteros-firewall/loaded'" in UNIT
    assert (
        f'"$({{ {listing} | {MOMENT}; }} 2>/dev/null | sha256sum)" = "$(cat /run/smarteros-firewall/loaded'
        in MachineFact().command()
    )


@pytest.mark.parametrize(
    ("ports", "left"),
    [
        ("\t\telements = { 80 timeout 15s,\n\t\t\t     443 timeout 15s }\n", ""),
        ("\t\telements = { 80 timeout 1m30s, 443 timeout 15s }\n", ""),
        ("\t\telements = { 80 timeout 15s,\n\t\t\t     8080 }\n", "\t\t\t     8080 }\n"),
        ("\t\telements = { 80, 443 }\n", "\t\telements = { 80, 443 }\n"),
    ],
)
def test_ports_that_are_held_for_a_moment_are_no_change_of_the_rules(ports: str, left: str) -> None:
    table = "\tset held {\n\t\ttype inet_service\n\t\tflags timeout\n%s\t}\n"
    printed = subprocess.run(["sh", "-c", MOMENT], input=table % ports, text=True, stdout=-1, check=True)
    assert printed.stdout == table % left


def test_an_interface_that_is_not_there_and_a_peer_that_is_the_host_itself_are_refused() -> None:
    access = Access(addresses={"127.0.0.1": "lo", "203.0.113.7": "ens3", "10.0.0.7": "ens4"})
    settings = stack(wan_interfaces=["ens3", "eth0"], peers=["203.0.113.7", "203.0.113.8", "10.0.0.0/24"])
    assert list(firewall.refusals(Machine(access=access), settings)) == [
        "wan_interfaces.1: the host has no interface 'eth0' with an address; it has ens3, ens4",
        "peers.0: 203.0.113.7 is an address of the host itself: leave it out",
    ]

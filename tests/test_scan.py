"""Scan: what nmap and nft print becomes one verdict for each event; what was not seen is not taken for closed."""

import dataclasses

from tests.audit import routes, scan
from tests.audit.scan import OPEN, Sight

TCP = """Starting Nmap 7.95 ( https://nmap.org ) at 2026-11-23 14:30 UTC
Nmap scan report for 10.213.7.11
Host is up (0.000042s latency).
Not shown: 65532 filtered tcp ports (no-response)
PORT    STATE SERVICE
22/tcp  open  ssh
80/tcp  open  http
443/tcp open  https
MAC Address: 02:42:0A:D5:07:0B (Unknown)

Nmap done: 1 IP address (1 host up) scanned in 13.58 seconds
"""
UDP = """Nmap scan report for 10.213.7.11
All 1000 scanned ports on 10.213.7.11 are in ignored states.
Not shown: 1000 open|filtered udp ports (no-response)

Nmap done: 1 IP address (1 host up) scanned in 3.01 seconds
"""
QUIC = "443/udp open quic\n"
SET = """table inet smarter_audit {
\tset passed {
\t\ttype inet_proto . inet_service
\t\tsize 65535
\t\tflags dynamic
\t\telements = { tcp . 80, udp . 443,
\t\t\t     tcp . 443, tcp . 22 }
\t}
}
"""
INSIDE = """Nmap scan report for 172.19.0.4
Host is up.

PORT     STATE    SERVICE
5432/tcp filtered postgresql
8080/tcp open     http-proxy
"""
FOUR = dict.fromkeys(("on-link IPv4", "on-link IPv6", "routed IPv4", "routed IPv6"), OPEN)
WELL = Sight(FOUR, OPEN, tried=20, inside=frozenset(), well=True)


def wrong(**changes: object) -> tuple[str, ...]:
    """What is wrong with a sight that differs in one thing from a good one."""
    found = scan.verdict("after a reboot", dataclasses.replace(WELL, **changes))  # type: ignore[arg-type]
    assert found.passed is False
    assert found.figure == f"{len(found.details)} differences from 22/tcp, 80/tcp, 443/tcp, 443/udp"
    return found.details


def test_four_open_ports_in_every_way_pass() -> None:
    assert str(scan.verdict("after a reboot", WELL)) == (
        "ok    scan after a reboot: 4 ways, each exactly 22/tcp, 80/tcp, 443/tcp, 443/udp"
    )


def test_what_answers_is_read_from_nmap() -> None:
    assert scan.answers([TCP, UDP, QUIC]) == OPEN
    assert scan.answers([TCP, UDP, ""]) == OPEN - {"443/udp"}
    assert scan.answers(
        [UDP.replace("All", "53/udp open domain\n123/udp open|filtered ntp\n161/udp closed snmp\nAll")]
    ) == {
        "53/udp",
        "161/udp",
    }
    assert scan.answers(["9999/tcp open abyss", "25/tcp closed smtp", "2049/tcp filtered nfs"]) == {
        "9999/tcp"
    }


def test_what_got_past_the_firewall_is_read_from_nft() -> None:
    assert scan.past(SET) == OPEN
    assert scan.past("") == frozenset()


def test_what_a_neighbour_reaches_of_a_container_is_read_from_nmap() -> None:
    assert scan.within([INSIDE, "Nmap scan report for 172.19.0.5\n1/tcp filtered tcpmux\n"]) == {
        "172.19.0.4 8080/tcp"
    }


def test_another_open_port_fails_and_is_named() -> None:
    assert wrong(answering={**FOUR, "routed IPv6": OPEN | {"9999/tcp", "111/udp"}}) == (
        "routed IPv6, open: 111/udp, 9999/tcp",
    )


def test_a_port_that_does_not_answer_fails() -> None:
    assert wrong(answering={**FOUR, "on-link IPv4": OPEN - {"443/udp"}}) == (
        "on-link IPv4, no answer from: 443/udp",
    )


def test_a_port_that_swallows_what_it_is_sent_is_found_by_the_host() -> None:
    assert wrong(passed=OPEN | {"4789/udp", "7946/udp"}) == ("past the firewall: 4789/udp, 7946/udp",)


def test_a_host_without_a_firewall_is_told_in_one_line() -> None:
    every = frozenset(f"{port}/tcp" for port in range(1, 65536)) | {"443/udp"}
    (line,) = wrong(passed=every)
    assert line.startswith("past the firewall: 1/tcp, 2/tcp, 3/tcp, ")
    assert line.endswith(", 20/tcp and 65512 more")


def test_a_scan_that_never_came_to_the_host_proves_nothing() -> None:
    assert wrong(passed=frozenset()) == ("never came past the firewall: 22/tcp, 80/tcp, 443/tcp, 443/udp",)
    assert wrong(tried=0) == ("no container's address was tried",)


def test_a_containers_own_address_that_answers_fails() -> None:
    assert wrong(inside=frozenset({"172.19.0.4 8080/tcp"})) == (
        "a neighbour reaches a container's: 172.19.0.4 8080/tcp",
    )


def test_a_service_that_has_not_come_back_fails() -> None:
    assert wrong(well=False) == ("not every service has come back",)


def test_a_host_has_an_address_of_both_families() -> None:
    @dataclasses.dataclass(frozen=True)
    class Host:
        address: str

    assert routes.v6(Host("10.213.7.11")) == "fd10:213:7::11"  # type: ignore[arg-type]

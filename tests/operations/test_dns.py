"""Dns: domains that lead elsewhere are found, and only those."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tasks.facts.names import Names, NamesFact
from tasks.operations import dns
from tests.fake import fake

LINES = [
    "own 10.0.0.7",
    "own 2001:db8::7",
    "name here.example.org 10.0.0.7",
    "name six.example.org 2001:db8::7",
    "name seen.example.org 203.0.113.9",
    "name both.example.org 198.51.100.1",
    "name both.example.org 10.0.0.7",
    "name there.example.org 198.51.100.2",
    "name there.example.org 198.51.100.1",
]
NAMES = [f"{name}.example.org" for name in ("here", "six", "seen", "both", "there", "gone")]


def test_names_that_lead_to_no_address_of_the_host_are_astray() -> None:
    found = NamesFact().process(LINES)
    assert found.own == {"10.0.0.7", "2001:db8::7"}
    assert dns.astray(NAMES, found, "203.0.113.9") == {
        "there.example.org": "198.51.100.1, 198.51.100.2",
        "gone.example.org": "nowhere",
    }
    assert [*dns.astray(NAMES, found, "203.0.113.9", ("198.51.100.2",))] == ["gone.example.org"]
    assert sorted(dns.astray(NAMES, found, "")) == [
        "gone.example.org",
        "seen.example.org",
        "there.example.org",
    ]


def test_what_no_host_says_is_nothing() -> None:
    assert NamesFact().process(["", "name", "own", "name a b c", "other x y"]) == Names()


def test_the_question_is_one_command_that_this_machine_answers() -> None:
    command = NamesFact().command(("localhost", "no-such-name.invalid"))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = NamesFact().process(done.stdout.splitlines())
    assert set(found.leads) == {"localhost"}
    assert found.leads["localhost"] <= {"127.0.0.1", "::1"}
    assert found.unasked <= {"no-such-name.invalid"}  # where this machine has no resolver


# What getaddrinfo says for EAI_NONAME and EAI_AGAIN, and a resolver that says nothing.
SAYS = {"-2": frozenset(), "-3": frozenset({"a.cl"}), "-4": frozenset({"a.cl"}), "slow": frozenset({"a.cl"})}


def test_a_resolver_that_does_not_answer_is_no_name_that_leads_nowhere(tmp_path: Path) -> None:
    for said, unasked in SAYS.items():
        answer = "sleep 9" if said == "slow" else f"return ({said})"
        (tmp_path / "Socket.pm").write_text(
            "package Socket; use base 'Exporter'; our @EXPORT_OK = qw(getaddrinfo getnameinfo NI_NUMERICHOST NIx_NOSERV "
            "SOCK_STREAM EAI_AGAIN EAI_FAIL); our %EXPORT_TAGS = (addrinfo => [@EXPORT_OK]); sub NI_NUMERICHOST {1} "
            f"sub NIx_NOSERV {{2}} sub SOCK_STREAM {{1}} sub EAI_AGAIN {{-3}} sub EAI_FAIL {{-4}} sub getaddrinfo {{{answer}}} 1;"
        )
        command = NamesFact().command(("a.cl",)).replace("timeout 5 perl", f"timeout 1 perl -I{tmp_path}")
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        found = NamesFact().process(done.stdout.splitlines())
        assert (found.leads, found.unasked) == ({}, unasked), done.stderr
        assert dns.astray(["a.cl"], found, "") == {"a.cl": "" if unasked else "nowhere"}


def test_the_host_is_asked_about_every_domain_once_and_about_none_never() -> None:
    with fake({"perl -MSocket": LINES}, services=["vault", "vault-auth-validator", "caddy"]) as host:
        assert dns.domains() == ["api.smarterbot.cl", "api.smarterbot.store"]
        assert dns.elsewhere(["here.example.org", "there.example.org"]) == {
            "there.example.org": "198.51.100.1, 198.51.100.2"
        }
        assert dns.said("a.cl", "nowhere", " (A 9.9.9.9)") == (
            f"a.cl leads to nowhere, not to {host.name}: it gets its certificate once its DNS record is right (A 9.9.9.9)"
        )
        assert dns.said("a.cl", "", " (A 9.9.9.9)") == (
            "a.cl could not be asked for: the host's resolver gives no answer (see `getent ahosts a.cl`, "
            "/etc/resolv.conf there); it gets no certificate before it does"
        )
    with fake({}):
        assert dns.elsewhere([]) == {}


def test_names_that_lead_here_over_ipv6_are_said_with_what_that_means() -> None:
    mine = [
        "name api.smarterbot.cl 10.0.0.7",
        "name api.smarterbot.cl 2001:db8::7",
        "name api.smarterbot.store 2001:db8::9",
    ]
    few: Any = {"services": ["vault", "vault-auth-validator", "caddy"]}
    with fake({"perl -MSocket": [*LINES, *mine]}, **few):
        (line,) = dns.hidden()
        assert line.startswith(
            "IPv6: api.smarterbot.cl lead here over IPv6, too, and Docker hides who comes that way"
        )
    with fake({"perl -MSocket": [*LINES, mine[0], mine[2]]}, **few):  # a CDN's IPv6 is not ours
        assert list(dns.hidden()) == []
    with fake({"perl -MSocket": [*LINES, *mine]}, services=["vault"]):
        assert list(dns.hidden()) == []


@pytest.mark.parametrize(
    ("own", "reached", "address"),
    [
        (("10.0.0.5", "9.9.9.9", "2001:4860::7"), "9.9.9.9", "9.9.9.9"),
        (("10.0.0.5",), "9.9.9.9", "9.9.9.9"),  # behind NAT
        (("9.9.9.9", "100.64.0.1"), "100.64.0.1", "9.9.9.9"),  # through a VPN
        (("10.0.0.5",), "10.0.0.5", "10.0.0.5"),
        (("9.9.9.9",), "2001:4860::7", "9.9.9.9"),
        (("2001:4860::7",), "", "2001:4860::7"),
        ((), "", ""),
    ],
)
def test_the_address_is_what_the_world_reaches(own: tuple[str, ...], reached: str, address: str) -> None:
    assert dns.public(own, reached) == address


@pytest.mark.parametrize(
    ("own", "record"),
    [("9.9.9.9", " (A 9.9.9.9)"), ("2001:4860::7", " (AAAA 2001:4860::7)"), ("10.0.0.5", "")],
)
def test_the_record_to_write_is_said_unless_only_others_know_the_address(own: str, record: str) -> None:
    with fake({"perl -MSocket": [f"own {own}"]}):
        assert dns.wanted(["a.cl"]) == record
        assert dns.wanted([]) == ""

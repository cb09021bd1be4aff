"""Dns: domains that lead elsewhere are found, and only those."""

import subprocess

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
    leads = NamesFact().process(done.stdout.splitlines()).leads
    assert set(leads) == {"localhost"}
    assert leads["localhost"] <= {"127.0.0.1", "::1"}


def test_the_host_is_asked_about_every_domain_once_and_about_none_never() -> None:
    with fake({"getent ahosts": LINES}, services=["vault", "vault-auth-validator", "caddy"]) as host:
        assert dns.domains() == ["api.smarterbot.cl", "api.smarterbot.store"]
        assert dns.elsewhere(["here.example.org", "there.example.org"]) == {
            "there.example.org": "198.51.100.1, 198.51.100.2"
        }
        assert dns.said("a.cl", "nowhere") == (
            f"a.cl leads to nowhere, not to {host.name}: it gets its certificate once its DNS record is right"
        )
    with fake({}):
        assert dns.elsewhere([]) == {}

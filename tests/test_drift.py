"""Drift: when a deploy notes what it has made, what `make drift` and `make status` say, and with which exit code."""

import re

import pytest

from tasks import drift
from tasks.commands import drift as command
from tasks.facts import Status
from tasks.facts.drift import Difference, Drift, DriftFact
from tasks.operations import host_health, host_summary
from tasks.rendering import drift_files
from tests.fake import fake
from tests.samples import ROOT

ISSUE = {"kind": "file", "name": "/etc/issue", "what": "other content", "since": "2026-11-28T01:02:03Z"}
EVE = {"kind": "user", "name": "eve", "what": "is new", "since": None}


def test_what_is_looked_at_is_the_same_in_every_run() -> None:
    with fake({}):
        first = drift.wanted()
    with fake({}):
        assert drift.wanted() == first
    assert {"/opt/smarteros/current/", "/vault/secrets/", "/root/Caddyfile", "/etc/docker/daemon.json"} <= {
        *first["files"]
    }
    assert "docker exec redis" in first["redis"]
    with fake({}, services=["vault", "postgres", "n8n", "odoo", "vault-auth-validator", "caddy"]):
        assert drift.wanted()["redis"] == ""


def test_who_starts_it_lets_it_leave_nothing_beside_itself() -> None:
    """Python keeps what it has compiled of a program's parts: in the active generation that would be an edit by hand."""
    service = drift_files.units("/current")["smarteros-drift.service"]
    for text in (service, DriftFact().command(), (ROOT / "files" / "record.sh").read_text()):
        assert re.findall(r"python3 (.*?)\S*drift/drift\.py", text) == ["-I -B "]


FOUND = Drift(
    "2026-11-28T00:00:00Z",
    7,
    "6f3a",
    1000,
    (
        Difference("file", "/etc/issue", "other content", "2026-11-28T01:02:03Z"),
        Difference("user", "eve", "is new"),
    ),
)


def test_each_difference_is_a_line_and_an_object() -> None:
    assert command.lines(FOUND) == [
        "file /etc/issue: other content, since 2026-11-28T01:02:03Z",
        "user eve: is new",
        "2 differences from what the deploy of 2026-11-28T00:00:00Z made (generation 7): `make deploy` makes good what it can",
    ]
    assert command.lines(Drift("2026-11-28T00:00:00Z", 7)) == [
        "nothing differs from what the deploy of 2026-11-28T00:00:00Z made (generation 7)"
    ]
    assert command.data({"vps-1": FOUND})["hosts"]["vps-1"] == {
        "noted": "2026-11-28T00:00:00Z",
        "number": 7,
        "generation": "6f3a",
        "differences": [ISSUE, EVE],
    }


def test_status_has_what_the_host_has_found_by_itself() -> None:
    found = Status(drift=FOUND, clock=1000 + 7200)
    (notice,) = host_health.notices(found, [], [])
    assert notice == (
        "drift: file /etc/issue, user eve: not as the last deploy made them: `make drift` says what and since when, "
        "`make deploy` makes good what it can"
    )
    assert host_summary.summary(found, [], [], [])["drift"] == "2 differences, looked for 2 h ago"
    assert (
        host_summary.summary(Status(), [], [], [])["drift"]
        == "not looked for yet; the host does so daily, and at once by systemctl start smarteros-drift there"
    )


def test_what_no_program_of_ours_prints_is_refused() -> None:
    from pyinfra.api.exceptions import FactProcessError

    assert DriftFact().process([]) == Drift()
    for text in ("{", "{}", "[]", '{"noted": 1, "number": 1, "generation": "", "differences": [1]}'):
        with pytest.raises(FactProcessError):
            DriftFact().process([text])

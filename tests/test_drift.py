"""Drift: when a deploy notes what it has made, what `make drift` and `make status` say, and with which exit code."""

import json

import pytest

from tasks import drift
from tasks.commands import drift as command
from tasks.facts import Status
from tasks.facts.drift import Difference, Drift, DriftFact
from tasks.operations import host_health, host_summary
from tests.fake import commands as yielded
from tests.fake import fake, stdin

ISSUE = {"kind": "file", "name": "/etc/issue", "what": "other content", "since": "2026-11-28T01:02:03Z"}
EVE = {"kind": "user", "name": "eve", "what": "is new", "since": None}


def said(*differences: dict[str, str | None], what: str = "") -> dict[str, list[str]]:
    """What the host's program prints."""
    with fake({}):
        digest = what or drift.wanted()["digest"]
    text = {
        "noted": "2026-11-28T00:00:00Z",
        "what": digest,
        "generation": "6f3a",
        "differences": [*differences],
    }
    return {"drift/drift.py": [json.dumps(text)]}


def test_a_deploy_that_has_changed_nothing_notes_nothing() -> None:
    with fake(said()):
        assert yielded(drift.noted) == []


@pytest.mark.parametrize("differences", [[ISSUE], [EVE]])
def test_what_is_otherwise_at_its_end_is_noted(differences: list[dict[str, str | None]]) -> None:
    with fake(said(*differences)):
        (noting,) = yielded(drift.noted)
        assert json.loads(stdin(noting)) == drift.wanted()


def test_another_release_that_looks_at_more_notes_anew() -> None:
    with fake(said(what="of another release")):
        assert len(yielded(drift.noted)) == 1


def test_what_no_deploy_makes_good_is_said_when_it_becomes_what_is_meant(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both: list[dict[str, str | None]] = [EVE, {**ISSUE}]
    with fake(said(*both)):
        yielded(drift.noted)
    assert "drift: user eve is new; from now on that is how it is meant to be" in caplog.text
    assert "/etc/issue" not in caplog.text


def test_what_is_looked_at_is_the_same_in_every_run() -> None:
    with fake({}):
        first = drift.wanted()
    with fake({}):
        assert drift.wanted() == first
    assert {"/opt/smarteros/current/", "/vault/secrets/", "/root/Caddyfile", "/etc/docker/daemon.json"} <= {
        *first["files"]
    }


FOUND = Drift(
    "2026-11-28T00:00:00Z",
    "d",
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
        "2 differences from what the deploy of 2026-11-28T00:00:00Z made: `make deploy` makes good what it can",
    ]
    assert command.lines(Drift("2026-11-28T00:00:00Z")) == [
        "nothing differs from what the deploy of 2026-11-28T00:00:00Z made"
    ]
    assert command.data({"vps-1": FOUND})["hosts"]["vps-1"] == {
        "noted": "2026-11-28T00:00:00Z",
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
    assert host_summary.summary(found, [], [])["drift"] == "2 differences, looked for 2 h ago"
    assert host_summary.summary(Status(), [], [])["drift"] == "not looked for yet"


def test_what_no_program_of_ours_prints_is_refused() -> None:
    from pyinfra.api.exceptions import FactProcessError

    assert DriftFact().process([]) == Drift()
    for text in ("{", "{}", "[]", '{"noted": 1, "what": "", "generation": "", "differences": [1]}'):
        with pytest.raises(FactProcessError):
            DriftFact().process([text])

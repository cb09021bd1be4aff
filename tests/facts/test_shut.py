"""Whether Postgres keeps its own psql out, or takes no writes, in the question that is asked anyway."""

import os
import subprocess
from pathlib import Path

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import PostgresFact, StatusFact, shut
from tasks.facts.shut import Shut

SOCKET = 'psql: error: connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: '
KEPT_OUT = [
    "fe_sendauth: no password supplied",
    'FATAL:  no pg_hba.conf entry for host "[local]", user "postgres", database "postgres", no encryption',
    'FATAL:  Peer authentication failed for user "postgres"',
    'FATAL:  role "postgres" is not permitted to log in',
]


def asked(root: Path, said: str, error: str, separator: str) -> list[str]:
    """What the shell prints, with a psql that says this."""
    (root / "docker").write_text(f"#!/bin/sh\ncat >/dev/null\necho '{said}'\necho '{error}' >&2\nexit 2\n")
    (root / "docker").chmod(0o755)
    done = subprocess.run(
        ["sh", "-ec", shut.psql(separator, "SELECT 1;")],
        env={"PATH": f"{root}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("why", KEPT_OUT)
def test_why_psql_is_kept_out_is_known(tmp_path: Path, why: str) -> None:
    assert PostgresFact().process(asked(tmp_path, "", SOCKET + why, "|")).shut == Shut(closed=why)
    lines = ["clock 1", *asked(tmp_path, "done a b", SOCKET + why, " ")]
    assert (StatusFact().process(lines).shut, StatusFact().process(lines).done) == (
        Shut(closed=why),
        frozenset({"a b"}),
    )


@pytest.mark.parametrize(
    "error",
    [
        "Error response from daemon: No such container: postgres",
        f"{SOCKET}FATAL:  the database system is starting up",
        f"{SOCKET}No such file or directory",
        "ERROR:  canceling statement due to lock timeout",
    ],
)
def test_one_that_is_not_there_yet_keeps_nobody_out(tmp_path: Path, error: str) -> None:
    assert PostgresFact().process(asked(tmp_path, "", error, "|")).shut == Shut()


def test_whose_writes_it_refuses_is_known() -> None:
    pairs = ['["", ""]', '["n8n", ""]', '["", "n8n"]']
    found = Shut("", (("", ""), ("n8n", ""), ("", "n8n")), standby=True)
    assert PostgresFact().process([*(f"readonly|{each}" for each in pairs), "standby|[]"]).shut == found
    lines = ["clock 1", *(f"readonly {each}" for each in pairs), "standby []"]
    assert StatusFact().process(lines).shut == found


@pytest.mark.parametrize("line", ["[]", "n8n", '["n8n"]', "[1, 2]"])
def test_what_it_never_says_of_that_is_an_error(line: str) -> None:
    with pytest.raises(FactProcessError, match="cannot read what psql prints"):
        PostgresFact().process([f"readonly|{line}"])
    with pytest.raises(FactProcessError, match="cannot read how the host is"):
        StatusFact().process(["clock 1", f"readonly {line}"])


def test_both_questions_ask_for_it_and_for_no_password() -> None:
    for command in (PostgresFact().command((), ()), StatusFact().command()):
        assert "pg_is_in_recovery()" in command
        assert "pg_settings WHERE name = 'default_transaction_read_only'" in command
        assert "postgres psql -wqAtX" in command

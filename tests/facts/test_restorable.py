"""What can be restored, from the words of restic 0.18 and pgBackRest 2.55, and commands that are valid sh."""

import subprocess

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.restorable import ArchivedDatabasesFact, BackedUp, Restorable, RestorableFact, Snapshot
from tasks.facts.spans import Span

SNAPSHOTS = (
    '[{"time":"2026-11-27T05:39:24.986397594Z","tree":"389a43","paths":["/state/odoo_data","/state/odoo_extra"],"hostname":"smarteros",'
    '"username":"root","tags":["service=odoo"],"program_version":"restic 0.18.0","id":"608cb98dd863","short_id":"608cb98d"},'
    '{"time":"2026-11-27T02:40:01.5-03:00","paths":["/dumps/odoo.dump"],"tags":["service=odoo","dump"],"id":"1c66d202"},'
    '{"time":"2026-11-27T02:40:01.5-03:00","paths":["/elsewhere"],"tags":null,"id":"2d77e303"}]'
)
ARCHIVE = (
    '[{"archive":[{"database":{"id":1,"repo-key":1},"id":"17-1","max":"000000010000000000000008","min":"000000010000000000000001"}],'
    '"backup":[{"archive":{"start":"000000010000000000000007","stop":"000000010000000000000007"},"error":false,"label":"20261127-053920F",'
    '"lsn":{"start":"0/7000028","stop":"0/7000100"},"timestamp":{"start":1795757960,"stop":1795757964},"type":"full"},{"error":true,"label":"20261127-060000F",'
    '"timestamp":{"start":1795757970,"stop":1795757974}}],"name":"main"}]'
)
LINES = [
    "here",
    "clock 1795758100",
    f"snapshots {SNAPSHOTS}",
    f"archive {ARCHIVE}",
    "metric smarteros_wal_archived_until_timestamp_seconds 1795758080.125",
    "metric smarteros_wal_archive_age_seconds 20",
    "size 46000000 odoo",
    "size 8000000 Odoo of last year",
    "holds 2048",
    "holds 4",
    "free 1000000",
    "unfinished 2026-11-27 05:39:42.013303+00",
    "kept 20261127_054043",
]


def test_all_that_there_is() -> None:
    assert RestorableFact().process(LINES) == Restorable(
        here=True,
        clock=1795758100.0,
        newest=1795758080.125,
        backups=(BackedUp("20261127-053920F", 1795757964.0),),
        spans=(Span(1795757964.0),),
        snapshots=(Snapshot("608cb98dd863", 1795757964.986397, "odoo"),),
        databases={"odoo": 46000000, "Odoo of last year": 8000000},
        files=2052 * 1024,
        free=1024000000,
        unfinished="2026-11-27 05:39:42.013303+00",
        kept=("20261127_054043",),
    )


def test_what_a_clock_that_was_ahead_has_dated_is_no_copy_of_that_time() -> None:
    lines = ["clock 1795757900", *LINES[:1], *LINES[2:]]
    assert RestorableFact().process(lines).snapshots == ()


def test_a_backup_of_a_line_of_the_log_after_that_was_left_leads_nowhere() -> None:
    for left, backups in (("0/7000100", 1), ("0/70000FF", 0)):
        found = RestorableFact().process([*LINES, "line 2", f"left 1\t{left}\tbefore 2026-11-27", "left "])
        assert len(found.backups) == backups


def test_a_backup_that_is_damaged_is_none() -> None:
    assert RestorableFact().process([*LINES, "damaged 20261127-053920F"]).backups == ()
    assert len(RestorableFact().process([*LINES, "damaged 000000010000000000000007"]).backups) == 1


def test_a_bucket_that_is_away_is_said_and_an_empty_one_is_empty() -> None:
    away = ["here", "clock 1795758100", "wrong restic: Fatal: unable to open repository", "free 10"]
    assert RestorableFact().process(away).wrong == ("restic: Fatal: unable to open repository",)
    assert (
        RestorableFact().process(["here", "clock 1", "snapshots null", "archive []", "free 10"]).snapshots
        == ()
    )


@pytest.mark.parametrize(
    "line",
    [
        "snapshots {",
        "archive [1]",
        "clock soon",
        "size many odoo",
        'snapshots [{"tags":["service=odoo"]}]',
        "holds ",
        "line 2",
    ],
)
def test_what_no_host_prints_is_an_error(line: str) -> None:
    with pytest.raises(FactProcessError, match=r"^cannot read what can be restored: "):
        RestorableFact().process([*LINES, line] if not line.startswith("clock") else [line, *LINES])


def test_the_databases_of_a_backup() -> None:
    said = '[{"backup":[{"database-ref":[{"name":"n8n","oid":16397},{"name":"odoo","oid":16394}],"label":"20261127-053920F"}]}]'
    assert ArchivedDatabasesFact().process([said]) == ("n8n", "odoo")
    with pytest.raises(FactProcessError, match=r"^cannot read which databases are backed up: "):
        ArchivedDatabasesFact().process(["[]"])


def test_the_question_is_valid_shell() -> None:
    for volumes in ((), ("odoo_data", "odoo_extra")):
        text = RestorableFact().command("odoo", ("odoo",), volumes)
        assert subprocess.run(["dash", "-n"], input=text, text=True, check=False).returncode == 0

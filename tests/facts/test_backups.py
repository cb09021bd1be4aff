"""What is in the bucket, from restic's and pgBackRest's own words, and how each part does."""

import json
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import Backups, BackupsFact, StatusFact
from tasks.facts.backups import HALF_RESTORED, Progress, Snapshot
from tasks.facts.backups import PROGRESS as PROGRESS_SHELL
from tasks.facts.spans import Span
from tasks.services.backup import RESTORED

# As restic 0.18.0 and pgBackRest 2.55.1 print them; what is not read is left out.
SNAPSHOTS = [
    {
        "time": "2026-11-27T05:35:15.268930758Z",
        "paths": ["/state/odoo_data", "/state/odoo_extra"],
        "hostname": "smarteros",
        "tags": ["service=odoo"],
        "short_id": "06e04527",
    },
    {
        "time": "2026-11-27T02:35:33.712204619-03:00",
        "paths": ["/odoo.dump"],
        "hostname": "smarteros",
        "tags": ["service=odoo", "dump"],
    },
]
ARCHIVE = [
    {
        "backup": [
            {
                "archive": {"start": "000000010000000000000003", "stop": "000000010000000000000004"},
                "error": False,
                "label": "20261127-053521F",
                "timestamp": {"start": 1795757721, "stop": 1795757723},
            },
            {
                "error": True,
                "label": "20261127-060000F_I",
                "timestamp": {"start": 1795759200, "stop": 1795759201},
            },
        ],
        "name": "main",
        "status": {"code": 0, "message": "ok"},
    }
]
NOTED = [
    'metric smarteros_backup_last_success_timestamp_seconds{part="files"} 1795757718',
    "metric smarteros_wal_archived_until_timestamp_seconds 1795757712.191",
    "metric smarteros_wal_archive_age_seconds 23",
    'metric smarteros_restore_verified_timestamp_seconds{service="odoo",part="files"} 1795750000',
    "metric node_textfile_of_somebody_else 1",
    "metric smarteros_restore_rpo_seconds 12.5",
    "cut odoo to 2026-11-26 19:59:49+00",
    "failed redis Redis does not answer: docker logs redis ",
    "prepared 1795757700",
    "stopped smarteros-backup-files.timer",
]
PROGRESS = Progress(
    succeeded={"files": 1795757718},
    until=1795757712.191,
    verified={"odoo files": 1795750000},
    failed={"redis": "Redis does not answer: docker logs redis"},
    prepared=1795757700,
    rpo=12.5,
    cut={"odoo": "to 2026-11-26 19:59:49+00"},
    stopped=("smarteros-backup-files",),
)


def test_what_the_tools_say_is_read() -> None:
    lines = [
        "clock 1795757739",
        f"snapshots {json.dumps(SNAPSHOTS)}",
        f"archive {json.dumps(ARCHIVE)}",
        "log 000000010000000000000001 000000010000000000000014 1795757730 0 ",
        *NOTED,
    ]
    taken = (1795757715.26893, 1795757733.712204)
    assert BackupsFact().process(lines) == Backups(
        clock=1795757739,
        snapshots=(
            Snapshot("odoo", dump=False, paths=("/state/odoo_data", "/state/odoo_extra"), taken=taken[0]),
            Snapshot("odoo", dump=True, paths=("/odoo.dump",), taken=taken[1]),
        ),
        spans=(Span(1795757723),),
        progress=PROGRESS,
    )


def test_what_a_clock_that_was_ahead_has_dated_is_not_what_there_is_last() -> None:
    found = BackupsFact().process(["clock 1795757720", f"snapshots {json.dumps(SNAPSHOTS)}"])
    assert [item.taken for item in found.snapshots] == [1795757715.26893]


def test_what_is_damaged_there_brings_nothing_back() -> None:
    lines = ["clock 1", f"archive {json.dumps(ARCHIVE)}", "damaged 20261127-053521F"]
    assert BackupsFact().process(lines).spans == ()
    log = "log 000000010000000000000005 000000010000000000000014 1795757730 0 "
    assert BackupsFact().process([*lines[:2], log, "damaged 000000010000000000000004"]).spans == ()


def test_a_bucket_that_cannot_be_read_is_said() -> None:
    found = BackupsFact().process(["clock 1", "wrong snapshots: Fatal: unable to open config file "])
    assert found == Backups(clock=1, wrong=("snapshots: Fatal: unable to open config file ",))


def test_status_has_it_too() -> None:
    assert StatusFact().process(["clock 1795757739", *NOTED]).backup == PROGRESS
    assert StatusFact().process(["clock 1"]).backup == Progress()


def test_a_restore_is_cut_in_its_middle_until_it_is_swapped_and_while_none_is_at_work(tmp_path: Path) -> None:
    (tmp_path / "n8n.journal").write_text("stamp 1\nfrom _before_20261126\nto 2026-11-26 19:00:00+00\n")
    (tmp_path / "odoo.journal").write_text("stamp 1\nto 2026-11-26 19:59:49+00\nfrom _new\n")
    (tmp_path / "chatwoot.journal").write_text("stamp 1\nto 2026-11-26 19:59:49+00\nfrom _new\nswapped\n")

    def said(shell: str, *, at_work: bool) -> list[str]:
        systemctl = f"systemctl() {{ {'true' if at_work else 'false'}; }}\n"
        done = subprocess.run(
            ["sh", "-c", systemctl + shell.replace(RESTORED, str(tmp_path))],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    half = ["cut n8n undo", "cut odoo to 2026-11-26 19:59:49+00"]
    assert said(HALF_RESTORED, at_work=False) == half
    assert said(HALF_RESTORED + "\ntrue", at_work=True) == []
    shell = PROGRESS_SHELL + "\ntrue"
    assert sorted(line for line in said(shell, at_work=False) if line.startswith("cut")) == [
        "cut chatwoot to 2026-11-26 19:59:49+00", *half
    ]  # fmt: skip


@given(st.lists(st.text(), max_size=5))
def test_anything_else_is_an_error_in_words(lines: list[str]) -> None:
    for key in ("snapshots", "archive", "log", "metric", "failed", "prepared", "cut"):
        with suppress(FactProcessError):
            found = BackupsFact().process(["clock 1", *(f"{key} {line}" for line in lines)])
            assert isinstance(found, Backups)


def test_an_answer_without_a_clock_is_none() -> None:
    with pytest.raises(FactProcessError):
        BackupsFact().process(["snapshots []"])

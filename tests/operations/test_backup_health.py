"""What of the backup is not well, in words with what to do; and what can be had again."""

from dataclasses import replace

from tasks.facts import Backups
from tasks.facts.backups import Progress, Snapshot
from tasks.facts.spans import Span
from tasks.operations.backup_health import drilled, missing, problems, summary, table, unproven
from tasks.rendering import backup_files
from tasks.services import load
from tests.samples import stack

STACK = stack(
    backup={"endpoint": "https://s3.example.com", "bucket": "acme-backup"},
    services=["vault", "postgres", "redis", "odoo", "vault-auth-validator", "caddy"],
)
PARTS = backup_files.parts(STACK)
NOW = 1795757739.0
WELL = Progress(succeeded={part.name: NOW - 20 for part in PARTS}, until=NOW - 31, prepared=NOW - 900000)


def said(**changes: object) -> list[str]:
    return list(problems(replace(WELL, **changes), PARTS, NOW))  # type: ignore[arg-type]


def test_a_backup_that_is_well_says_how_old_it_is() -> None:
    assert said() == []
    assert summary(WELL, PARTS, NOW) == (
        "backup: log 31 s ago, files 20 s ago, redis 20 s ago, vault 20 s ago, postgres 20 s ago, "
        "dumps 20 s ago, check 20 s ago"
    )
    fresh = Progress(prepared=NOW - 5)
    assert summary(fresh, PARTS, NOW).startswith("backup: log never, files never")
    assert list(problems(fresh, PARTS, NOW)) == []


def test_each_part_that_is_too_old_is_named() -> None:
    for part in PARTS:
        old = {**WELL.succeeded, part.name: NOW - part.stale - 1}
        (line,) = said(succeeded=old)
        assert line.startswith(f"backup: {part.name} ({part.what}) has not succeeded for ")
        assert f"`journalctl -u {part.unit}` says more" in line


def test_one_that_never_succeeded_is_too_old_some_time_after_it_was_set_up() -> None:
    (line,) = said(succeeded={name: when for name, when in WELL.succeeded.items() if name != "vault"})
    assert line.startswith(
        "backup: vault (a snapshot of Vault is copied away) has not succeeded for 10 days: "
    )


def test_a_failure_is_said_in_its_own_words() -> None:
    (line,) = said(failed={"files": "not copied: odoo"})
    assert line == (
        "backup: files (changed files are copied away) has failed: not copied: odoo: `journalctl -u smarteros-backup-files` says more; "
        "it is tried again every 45 s"
    )


def test_timers_that_somebody_has_stopped_are_said_before_anything_is_old() -> None:
    (line,) = said(stopped=("smarteros-heartbeat", "smarteros-backup-files"))
    assert line == (
        "backup: smarteros-heartbeat, smarteros-backup-files: their timers are stopped, so nothing of theirs is done: `make deploy` starts them"
    )


def test_a_log_that_does_not_leave_is_said() -> None:
    (line,) = said(until=NOW - 300)
    assert line.startswith("backup: what was written to Postgres in the last 5 min is not in the bucket: ")
    assert len(said(until=0)) == 1


def test_a_restore_that_was_proven_long_ago_or_never_is_said() -> None:
    recent, old = NOW - 7 * 86400, NOW - 9 * 86400
    wanted = ("odoo database", "odoo files", "odoo dump")
    found = replace(WELL, verified={"odoo database": recent, "odoo files": old, "gone files": old})
    assert list(unproven(found, wanted, NOW)) == [
        "backup: the last proven restore of odoo files is 9 days old: `make drill` tries it now and says what is wrong",
        "backup: there is no proven restore of odoo dump for 10 days: `make drill` tries it now and says what is wrong",
    ]
    assert list(unproven(replace(found, prepared=NOW - 60), ("odoo dump",), NOW)) == []
    assert list(unproven(Progress(), wanted, NOW)) == []


def test_a_drill_that_would_have_lost_more_than_a_minute_is_said() -> None:
    assert list(drilled(replace(WELL, rpo=60))) == []
    (line,) = drilled(replace(WELL, rpo=82.1))
    assert line.startswith(
        "backup: a loss at the moment of the last drill would have been one of 82 s, and at most 60 are meant: "
    )


def test_a_restore_that_was_cut_short_is_said_with_what_ends_it() -> None:
    found = replace(WELL, cut={"odoo": "to 2026-11-26 19:59:49+00", "n8n": "undo"})
    assert list(drilled(found)) == [
        "restore: the undoing of a restore of n8n was cut short, and it may be down: `make restore-undo SERVICE=n8n` ends it",
        (
            "restore: a restore of odoo was cut short while it came into the place of what ran, and it may be down: "
            "`make restore SERVICE=odoo TO='2026-11-26 19:59:49+00'` ends it; `make restore-undo SERVICE=odoo` then brings back what was "
            "there before"
        ),
    ]


def test_a_host_on_which_nothing_was_set_up_is_told() -> None:
    assert said(prepared=0) == ["backup: is not set up on this host yet: `make deploy` does it"]


FOUND = Backups(
    clock=NOW,
    snapshots=(
        Snapshot("odoo", dump=False, paths=("/state/odoo_data",), taken=NOW - 7200),
        Snapshot("odoo", dump=False, paths=("/state/odoo_data",), taken=NOW - 60),
        Snapshot("odoo", dump=True, paths=("/odoo.dump",), taken=NOW - 3600),
        Snapshot("redis", dump=False, paths=("/state/redis_data/dump.rdb",), taken=NOW - 60),
    ),
    spans=(Span(NOW - 86400),),
    progress=replace(WELL, verified={"odoo database": NOW - 40000}),
)


def test_the_table_says_from_when_to_when() -> None:
    assert table(FOUND, load(STACK), PARTS) == [
        "SERVICE  WHAT                  FROM                  UNTIL                 LAST PROVEN RESTORE",
        "vault    snapshot (0)          never                 never                 never",
        "redis    file (1)              2026-11-27 05:34:39Z  2026-11-27 05:34:39Z  never",
        "odoo     database, any second  2026-11-26 05:35:39Z  2026-11-27 05:35:08Z  2026-11-26 18:28:59Z",
        "odoo     dump (1)              2026-11-27 04:35:39Z  2026-11-27 04:35:39Z  never",
        "odoo     files (2)             2026-11-27 03:35:39Z  2026-11-27 05:34:39Z  never",
        "caddy    files (0)             never                 never                 never",
    ]


def test_the_table_says_which_times_in_between_cannot_be_had() -> None:
    broken = replace(FOUND, spans=(Span(NOW - 86400, NOW - 7200), Span(NOW - 3600)))
    assert table(broken, load(STACK), PARTS) == [
        *table(FOUND, load(STACK), PARTS),
        "no database comes back to a time between 2026-11-27 03:35:39Z and 2026-11-27 04:35:39Z: Postgres' log has a gap there",
    ]
    # No backup was made behind it yet: what is newest cannot be had.
    ended = table(replace(FOUND, spans=(Span(NOW - 86400, NOW - 7200),)), load(STACK), PARTS)
    assert (
        "odoo     database, any second  2026-11-26 05:35:39Z  2026-11-27 03:35:39Z  2026-11-26 18:28:59Z"
        in ended
    )
    assert (
        ended[-1]
        == "no database comes back to a time after 2026-11-27 03:35:39Z: Postgres' log has a gap there"
    )


def test_what_the_bucket_does_not_have_is_named() -> None:
    assert list(missing(FOUND, load(STACK), PARTS)) == ["vault: snapshot", "caddy: files"]
    assert "odoo: database, any second" in list(missing(replace(FOUND, spans=()), load(STACK), PARTS))

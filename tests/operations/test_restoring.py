"""Restoring: which backup and which snapshots bring a service back to a time, and what is refused with which words."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tasks.clients.archive import Archive
from tasks.facts.restorable import BackedUp, Restorable, Snapshot
from tasks.facts.spans import Span
from tasks.model.catalogue import Service
from tasks.operations.restoring import (
    Choice,
    Recovery,
    chosen,
    included,
    moment,
    recovery,
    room,
    written,
)
from tasks.run import Refused
from tasks.services import load
from tests.samples import stack

SERVICES = load(stack())
ODOO, CADDY = (next(item for item in SERVICES if item.name == name) for name in ("odoo", "caddy"))
# 2026-11-26 20:00:00Z
NOON = 1795723200.0
HOUR = 3600
FOUND = Restorable(
    here=True,
    clock=NOON,
    newest=NOON - 20,
    backups=(BackedUp("full", NOON - 30 * HOUR), BackedUp("incr", NOON - 2 * HOUR)),
    snapshots=(
        Snapshot("one", NOON - 20 * HOUR, "odoo"),
        Snapshot("other", NOON - HOUR, "n8n"),
        Snapshot("three", NOON - HOUR / 2, "odoo"),
        Snapshot("two", NOON - 3 * HOUR, "odoo"),
    ),
    databases={"odoo": 1 << 30},
    files=1 << 30,
    free=1 << 33,
)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def refused(service: Service, seconds: float, found: Restorable = FOUND) -> str:
    with pytest.raises(Refused) as error:
        chosen(service, at(seconds), found)
    return str(error.value)


@pytest.mark.parametrize(
    "text", ["2026-11-26 19:59:49.5Z", "2026-11-26T16:59:49.5-03:00", " 2026-11-26 21:59:49.5+02 "]
)
def test_a_time_is_one_moment_in_whatever_zone_it_is_written(text: str) -> None:
    assert written(moment(text)) == "2026-11-26 19:59:49.500000+00"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "say to which time: like TO='2026-11-26 19:59:49Z' (`make backups` lists what there is)"),
        ("yesterday", "TO='yesterday' is no time: write it like TO='2026-11-26 19:59:49Z'"),
        ("2026-11-31 10:00Z", "TO='2026-11-31 10:00Z' is no time: write it like TO='2026-11-26 19:59:49Z'"),
        (
            "2026-11-26 19:59:49",
            "TO='2026-11-26 19:59:49' names no zone: add Z for UTC, or an offset as in 2026-11-26 16:59:49-03:00",
        ),
    ],
)
def test_what_is_no_moment_is_refused(text: str, why: str) -> None:
    with pytest.raises(Refused) as error:
        moment(text)
    assert str(error.value) == why


def test_the_last_backup_that_had_ended_and_the_snapshots_around_it_are_taken() -> None:
    assert chosen(ODOO, at(NOON - HOUR), FOUND) == Choice("incr", before="two", after="three")
    assert chosen(ODOO, at(NOON - 2 * HOUR), FOUND) == Choice("full", before="two", after="three")
    assert chosen(ODOO, at(NOON - 21 * HOUR), FOUND) == Choice("full", before="", after="one")
    assert chosen(ODOO, at(NOON), FOUND) == Choice("incr", before="three", after="")


def test_a_time_outside_of_what_there_is_is_refused_with_what_there_is() -> None:
    there = "there is any second from 2026-11-25 14:00:00Z to 2026-11-26 19:59:40Z"
    assert refused(ODOO, NOON + 1) == f"TO=2026-11-26 20:00:01Z has not come yet: {there}"
    assert refused(ODOO, NOON - 30 * HOUR) == f"TO=2026-11-25 14:00:00Z is earlier than the oldest: {there}"
    assert refused(ODOO, NOON, replace(FOUND, backups=())) == (
        "TO=2026-11-26 20:00:00Z is earlier than the oldest: nothing is backed up yet: `make backup`, then `make backups`"
    )


def test_a_time_in_a_gap_of_the_log_is_refused_and_none_beside_it() -> None:
    found = replace(FOUND, spans=(Span(NOON - 30 * HOUR, NOON - 5 * HOUR), Span(NOON - 2 * HOUR)))
    said = "lies in a gap of Postgres' log: choose a time before 2026-11-26 15:00:00Z, or one after 2026-11-26 18:00:00Z"
    assert refused(ODOO, NOON - 4 * HOUR, found) == f"TO=2026-11-26 16:00:00Z {said}"
    assert refused(ODOO, NOON - 2 * HOUR, found) == f"TO=2026-11-26 18:00:00Z {said}"
    assert chosen(ODOO, at(NOON - 5 * HOUR), found).label == "full"
    assert chosen(ODOO, at(NOON - HOUR), found).label == "incr"
    ended = replace(found, spans=found.spans[:1])
    assert refused(ODOO, NOON - HOUR, ended).endswith(
        "choose a time before 2026-11-26 15:00:00Z, behind which no backup is yet"
    )
    files = replace(found, snapshots=(Snapshot("a", NOON - 6 * HOUR, "caddy"),))
    assert chosen(CADDY, at(NOON - 4 * HOUR), files).before == "a"


def test_a_service_of_files_alone_has_its_copies() -> None:
    found = replace(FOUND, snapshots=(Snapshot("a", NOON - HOUR, "caddy"), Snapshot("b", NOON - 60, "caddy")))
    assert chosen(CADDY, at(NOON - 70), found) == Choice("", before="a", after="b")
    assert refused(CADDY, NOON - 2 * HOUR, found) == (
        "TO=2026-11-26 18:00:00Z is earlier than the oldest: there are 2 copies, from 2026-11-26 19:00:00Z to 2026-11-26 19:59:00Z"
    )


def test_a_bucket_that_cannot_be_read_is_no_empty_one() -> None:
    assert refused(ODOO, NOON, replace(FOUND, wrong=("restic: Fatal: no answer",))) == (
        "the bucket cannot be read (restic: Fatal: no answer): `make bucket KIT=…` says whether its server answers, and tries the host's key"
    )


def test_what_has_no_room_is_refused_before_it_begins() -> None:
    room(FOUND, files=True)
    room(replace(FOUND, free=4 << 30), files=False)
    with pytest.raises(Refused) as error:
        room(replace(FOUND, free=4 << 30), files=True)
    assert str(error.value).startswith(
        "too little disk: a restore takes 4505 MB for a while, and 4096 MB are free"
    )


def test_a_role_that_makes_databases_gets_all_that_are_nobody_elses() -> None:
    there = ["postgres", "odoo", "odoo_test", "n8n", "chatwoot", "odoo_before_20261126_195949"]
    assert included(ODOO, there, SERVICES) == ["odoo", "odoo_test"]
    n8n = next(item for item in SERVICES if item.name == "n8n")
    assert included(n8n, there, SERVICES) == ["n8n"]
    assert included(n8n, ["odoo"], SERVICES) == []
    assert included(n8n, [*there, "by hand"], SERVICES, ["n8n", "by hand", "made since"]) == [
        "by hand",
        "n8n",
    ]


ARCHIVE = Archive(
    backups=FOUND.backups, spans=(Span(NOON - 30 * HOUR),), size=7, until=NOON - 20, newest=NOON, clock=NOON
)
FULL_GAP = replace(ARCHIVE, spans=(Span(NOON - 30 * HOUR, NOON - 5 * HOUR), Span(NOON - 2 * HOUR)))
NOWHERE = replace(ARCHIVE, spans=FULL_GAP.spans[:1], backups=ARCHIVE.backups[:1])
AGAIN = "What was deleted or damaged in the last 30 days comes back with `make bucket-rewind KIT=… TO=…`"


def not_recovered(seconds: float | None, found: Archive) -> str:
    with pytest.raises(Refused) as error:
        recovery(None if seconds is None else at(seconds), found)
    return str(error.value)


def test_a_host_comes_back_from_the_last_backup_that_leads_there() -> None:
    assert recovery(None, ARCHIVE) == recovery(None, FULL_GAP) == Recovery("", "incr", 1, 7)
    assert recovery(at(NOON - 3 * HOUR), ARCHIVE).label == "full"
    assert recovery(at(NOON - 5 * HOUR), FULL_GAP).label == "full"
    assert recovery(at(NOON - HOUR), FULL_GAP).label == "incr"
    # Nothing of it is there yet: the host says so (recover.sh).
    assert recovery(None, Archive()) == Recovery()


def test_a_host_does_not_come_back_to_a_time_in_a_gap() -> None:
    assert not_recovered(NOON - 4 * HOUR, FULL_GAP) == (
        "TO=2026-11-26 16:00:00Z lies in a gap of Postgres' log: choose a time before 2026-11-26 15:00:00Z, or one after 2026-11-26 18:00:00Z. "
        f"{AGAIN}"
    )
    assert not_recovered(NOON - HOUR, NOWHERE).endswith(f", behind which no backup is yet. {AGAIN}")


def test_nobody_takes_less_than_the_newest_without_saying_so() -> None:
    assert not_recovered(None, NOWHERE) == (
        "what was written from 2026-11-26 15:00:00Z to 2026-11-26 19:59:40Z does not come back: Postgres' log has a gap there, and no backup "
        f"since. {AGAIN}; or take what there is, with TO='2026-11-26 15:00:00Z'"
    )
    assert recovery(at(NOON - 5 * HOUR), NOWHERE).label == "full"
    nothing = replace(ARCHIVE, spans=())
    assert not_recovered(None, nothing) == (
        f"no backup of Postgres in the bucket is whole and has the log that belongs to it. {AGAIN}"
    )
    damaged = replace(nothing, backups=(), damaged=("20261120-040000F", "20261127-040000F"))
    said = "What was deleted or damaged (20261120-040000F, 20261127-040000F of it: so the host's nightly check) in the last 30 days"
    assert said in not_recovered(None, damaged)
    assert said in not_recovered(NOON - HOUR, damaged)

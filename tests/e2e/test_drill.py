"""Drill: all of the bucket comes back, what is damaged or missing there is named, and no part leaves anything behind, also killed."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import pytest

from tasks.clients import archive
from tasks.clients.bucket import Bucket
from tasks.operations import restoring
from tasks.run import Refused
from tests.e2e.backed import Backed
from tests.e2e.deployment import Deployment
from tests.e2e.test_backup import until
from tests.lab import addresses, s3

NOW, STATUS = (f"tasks.commands.{name}.run" for name in ("backup", "status"))
METRICS = "/var/lib/smarteros/metrics"
REPORT = "cat /var/lib/smarteros/restore/drill.report"
FAILED = "cat /var/lib/smarteros/backup/failed/{} 2>/dev/null; true"
THERE = "docker ps -a --format '{{.Names}}' | sort; docker volume ls --quiet | sort; docker network ls --format '{{.Name}}' | sort"
AT_WORK = "systemctl list-units --state=activating,deactivating --plain --no-legend 'smarteros-*.service'"
FOLDERS = "ls -d /var/lib/smarteros/restore/postgres /var/lib/smarteros/restore/files 2>/dev/null; true"


@pytest.fixture(scope="module")
def bucket(backed: Backed) -> Iterator[Bucket]:
    """As the host's key sees it, with all parts in it."""
    made = backed.run(NOW)
    assert made.code == 0, made.output[-6000:]
    kit = backed.kit()
    with s3.reached(addresses.address(backed.host.lab.description.subnet, addresses.S3)):
        yield Bucket(kit.backup, kit.access_key, kit.secret_key)


def started(host: Deployment, unit: str) -> bool:
    """Whether the unit has ended well."""
    return "done" in host.sh(
        f"systemctl start smarteros-{unit}.service 2>/dev/null && echo done", check=False, timeout=600
    )


def noted(host: Deployment, part: str, words: str) -> None:
    """What make status shows of the part has these words; the note is written once the unit has failed."""
    until(f"{words} is noted", 60, lambda: words in host.sh(FAILED.format(part)))


@contextmanager
def flipped(bucket: Bucket, key: str) -> Iterator[None]:
    """One bit in the middle of the object is another."""
    good = bucket.get(key)
    bad = bytearray(good)
    bad[len(bad) // 2] ^= 1
    bucket.put(key, bytes(bad))
    try:
        yield
    finally:
        bucket.put(key, good)


@contextmanager
def gone(bucket: Bucket, key: str) -> Iterator[None]:
    """The object is deleted."""
    good = bucket.get(key)
    bucket.s3.delete_object(Bucket=bucket.place.bucket, Key=key)
    try:
        yield
    finally:
        bucket.put(key, good)


@contextmanager
def paused(host: Deployment, *units: str) -> Iterator[None]:
    """None of these starts by its timer, as five minutes after a boot, and makes a good copy beside what is damaged."""
    timers = " ".join(f"smarteros-{unit}.timer" for unit in units)
    host.sh(f"systemctl stop {timers}")
    try:
        yield
    finally:
        host.sh(f"systemctl start {timers}")


def packs(bucket: Bucket) -> set[str]:
    return set(bucket.keys("files/data/"))


def largest(bucket: Bucket, keys: set[str]) -> str:
    return max(keys, key=lambda key: len(bucket.get(key)))


def added(host: Deployment, bucket: Bucket, part: str) -> set[str]:
    """The packs that this part of a backup makes now."""
    before = packs(bucket)
    assert started(host, f"backup-{part}")
    return packs(bucket) - before


def settled(host: Deployment) -> None:
    """Nothing is at work, nor the backup that is made behind damage."""
    until("no unit is at work", 600, lambda: host.sh(AT_WORK) == "")


def segments(bucket: Bucket) -> list[str]:
    """Of the log, the oldest first."""
    return sorted(
        key for key in bucket.keys("pg/archive/main/") if re.search(r"/[0-9A-F]{24}-[0-9a-f]+\.zst$", key)
    )


def test_what_is_damaged_in_the_bucket_is_named_by_the_drill(backed: Backed, bucket: Bucket) -> None:
    host = backed.host
    # What no other dump has, so that it stands in a pack of this one.
    host.sh(
        "docker exec postgres psql -qX -U postgres -d n8n -c "
        '"CREATE TABLE chance AS SELECT gen_random_uuid() FROM generate_series(1, 50000)"'
    )
    with paused(host, "backup-dumps", "backup-vault"), ExitStack() as damaged:
        settled(host)
        # All of them: what is sent of files meanwhile adds packs of its own.
        for key in (*added(host, bucket, "dumps"), *added(host, bucket, "vault")):
            damaged.enter_context(flipped(bucket, key))
        assert not started(host, "drill-full")
        said = host.sh(REPORT)
    assert "n8n: the dump of n8n cannot be restored" in said
    assert "vault: its snapshot cannot be restored" in said
    assert "n8n: database has come back whole" in said
    noted(host, "drill-full", "vault: its snapshot cannot be restored")


def test_a_full_drill_brings_all_back_and_says_how_long_it_took(backed: Backed, bucket: Bucket) -> None:
    """Also after one that has failed: then all is well again."""
    host = backed.host
    settled(host)
    before = host.sh(THERE)
    assert started(host, "drill-full"), host.sh(REPORT)
    said = host.sh(REPORT)
    print(said)
    metrics = host.sh(f"cat {METRICS}/*.prom")
    for service, part in (
        *(("n8n", part) for part in ("database", "files", "application", "dump")),
        ("caddy", "files"),
        ("vault", "snapshot"),
        ("redis", "file"),
    ):
        assert f"{service}: {part} has come back whole" in said
        assert (
            f'smarteros_restore_verified_timestamp_seconds{{service="{service}",part="{part}"}} ' in metrics
        )
    found = re.search(r"smarteros_restore_rpo_seconds ([\d.]+)", metrics)
    assert found
    assert float(found[1]) <= 60
    # What is copied away for the bucket comes and goes beside it.
    until("nothing is left", 300, lambda: host.sh(THERE) == before)
    assert 'smarteros_backup_last_success_timestamp_seconds{part="drill-full"}' in metrics
    status = backed.run(STATUS)
    assert status.code == 0, status.output[-4000:]


# Of each kind of object one bit is another, those of restic and of pgBackRest in the same night; what the check says.
DAMAGE = (
    (r"files/index/", r"pg/archive/main/archive\.info$", "descriptions restic-check"),
    (r"files/snapshots/", r"pg/backup/main/backup\.info\.copy$", "descriptions restic-check"),
    (r"files/keys/", r"pg/backup/main/[^/]+/backup\.manifest$", "damaged restic-check"),
    (r"files/config$", r"pg/backup/main/[^/]+/bundle/", "damaged restic-check"),
    (r"recovery/[^/]+/state$", r"pg/archive/main/[^.]*/[0-9A-F]{24}-[0-9a-f]+\.zst$", "damaged sealed-state"),
)


@pytest.mark.parametrize(("one", "other", "said"), DAMAGE)
def test_what_is_damaged_is_named_by_the_nightly_check(
    backed: Backed, bucket: Bucket, one: str, other: str, said: str
) -> None:
    settled(backed.host)
    chosen = [max(key for key in bucket.keys("") if re.match(kind, key)) for kind in (one, other)]
    with flipped(bucket, chosen[0]), flipped(bucket, chosen[1]):
        assert not started(backed.host, "backup-check")
        for part in said.split():  # and perhaps what lets go of old ones, which reads some of it
            noted(backed.host, "check", part)


def test_what_is_missing_is_named_by_the_nightly_check(backed: Backed, bucket: Bucket) -> None:
    with gone(bucket, largest(bucket, packs(bucket))):
        assert not started(backed.host, "backup-check")
        noted(backed.host, "check", " restic-check")
    assert started(backed.host, "backup-check")


def deleted(bucket: Bucket, key: str) -> None:
    bucket.s3.delete_object(Bucket=bucket.place.bucket, Key=key)


def damaged(bucket: Bucket, key: str) -> None:
    bad = bytearray(bucket.get(key))
    bad[len(bad) // 2] ^= 1
    bucket.put(key, bytes(bad))


def test_behind_segments_that_are_lost_a_full_backup_is_made_and_the_check_is_well_again(
    backed: Backed, bucket: Bucket
) -> None:
    host, word = backed.host, backed.kit().keys.pgbackrest
    settled(host)
    full = host.sh("stat -c %Y /var/lib/smarteros/backup/full")
    before = restoring.recovery(None, archive.read(bucket, word)).label
    # Some that the newest full backup, which may be of just now, still needs.
    there = len(segments(bucket))
    for _ in range(3):
        assert started(host, "heartbeat")
    until("they are in the bucket", 60, lambda: len(segments(bucket)) >= there + 3)
    wanted = datetime.now(UTC)
    _, one, other, _ = segments(bucket)[-4:]
    damaged(bucket, one)
    deleted(bucket, other)
    assert not started(host, "backup-check")
    noted(host, "check", " damaged log")
    until(
        "a full one was made",
        180,
        lambda: host.sh("stat -c %Y /var/lib/smarteros/backup/full 2>/dev/null; true") not in ("", full),
    )
    for _ in range(2):
        assert started(host, "backup-check"), host.sh(FAILED.format("check"))
    listed = backed.run("tasks.commands.backups.run")
    assert listed.code == 0, listed.output[-4000:]
    assert "no database comes back to a time between " in listed.output
    # Whoever has the bucket alone sees the same.
    with pytest.raises(Refused, match="lies in a gap of Postgres' log"):
        restoring.recovery(wanted, archive.read(bucket, word, wanted.timestamp()))
    assert restoring.recovery(None, archive.read(bucket, word)).label > before
    assert started(host, "drill"), host.sh(REPORT)
    assert "n8n: database has come back whole" in host.sh(REPORT)


ONE = "kill -9 $(systemctl show --value --property MainPID {})"
KILLED = (
    *((unit, ONE) for unit in ("backup-files", "backup-dumps", "backup-check", "drill")),
    ("drill", "systemctl kill {}"),
)


@pytest.mark.parametrize(("unit", "killed"), KILLED)
def test_what_is_killed_leaves_nothing(backed: Backed, unit: str, killed: str) -> None:
    host, name = backed.host, f"smarteros-{unit}.service"
    host.sh(
        "systemctl stop 'smarteros-backup-*.timer' smarteros-heartbeat.timer; rm -f /var/lib/smarteros/backup/*.since"
    )
    until("what timers have started is done", 600, lambda: host.sh(AT_WORK) == "")
    try:
        before = host.sh(THERE)
        host.sh(f"systemctl start --no-block {name}")
        until("it has begun", 300, lambda: host.sh(THERE) != before)
        host.sh(killed.format(name))
        until("nothing is left", 300, lambda: host.sh(THERE) == before)
        until("its folders are gone", 300, lambda: host.sh(FOLDERS) == "")
        # A start meanwhile would be that of the one that is at its end.
        until("it has ended", 300, lambda: host.sh(AT_WORK) == "")
        # The next one goes on, whatever lock was left.
        assert started(host, unit)
    finally:
        host.sh("systemctl start 'smarteros-backup-*.timer' --all; systemctl start smarteros-heartbeat.timer")

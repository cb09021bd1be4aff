"""The archive's lists and a line's beginning, encrypted by openssl as pgBackRest does, at a real server."""

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tasks.clients import archive, bucket_rewind, bucket_rules, kit
from tasks.clients.bucket import Bucket
from tasks.facts.spans import Span
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.lab import s3


def item(
    stop: int,
    line: str = "00000001",
    place: str = "0/7000100",
    size: int = 31000000,
) -> str:
    """What pgBackRest notes of a backup, but for what nobody here reads."""
    segment = f"{line}00000000{place[2:-6]:0>8}"
    noted = {
        "backup-archive-start": segment,
        "backup-archive-stop": segment,
        "backup-error": False,
        "backup-info-size": size,
        "backup-lsn-stop": place,
        "backup-reference": None,
        "backup-timestamp-stop": stop,
    }
    return json.dumps(noted)


BACKUPS = f"""[backrest]
backrest-format=5

[backup:current]
20261127-060000F={item(1795759205, size=32000000, place="0/8000100")}
20261127-053920F={item(1795757965)}
20261127-120000F={item(1795780805, size=1).replace("false", "true")}

[db]
db-id=1
"""
INFO = """[backrest]
backrest-format=5

[cipher]
cipher-pass="of the log"

[db]
db-id=1
"""
LOG = "pg/archive/main/16-1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """With a bucket that is set up."""
    with s3.running_s3(tmp_path_factory.mktemp("s3")) as found, s3.reached():
        list(bucket_rules.converged(Bucket(Backup.model_validate(found.setting), *s3.ADMIN)))
        yield found


@pytest.fixture
def made(server: s3.S3) -> tuple[Bucket, kit.Kit]:
    """An empty bucket, and its kit."""
    place = Backup.model_validate(server.setting)
    store = Bucket(place, *s3.HOST)
    for name in store.keys(""):
        store.call("delete_object", Key=name)
    return store, kit.new(place, *s3.HOST)


def encrypted(text: str, passphrase: str) -> bytes:
    command = ["openssl", "enc", "-aes-256-cbc", "-md", "sha1", "-salt", "-pass", f"pass:{passphrase}"]
    return subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout


def logged(store: Bucket, *numbers: int, line: int = 1) -> None:
    """Segments of a log, each with a sum of its own."""
    for number in numbers:
        store.put(segment(number, line), f"{line} {number}".encode())


def segment(number: int, line: int = 1) -> str:
    return f"{LOG}/{line:08X}00000000/{line:08X}00000000{number:08X}-1.zst"


def labels(found: archive.Archive) -> list[str]:
    return [item.label for item in found.backups]


def test_backups_and_their_size_are_read_with_the_kit_alone(made: tuple[Bucket, kit.Kit]) -> None:
    store, found = made
    word = found.keys.pgbackrest
    empty = archive.read(store, word)
    assert empty == archive.Archive(clock=empty.clock)
    logged(store, 7, 8, 9)
    store.put("pg/backup/main/backup.info", encrypted(BACKUPS, word))
    read = archive.read(store, word)
    assert labels(read) == ["20261127-053920F", "20261127-060000F"]
    assert (read.line, read.size, read.backups[0].stop) == (1, 32000000, 1795757965)
    assert (read.spans, read.damaged) == ((Span(1795757965),), ())
    assert abs(read.until - time.time()) < 60
    assert abs(read.newest - time.time()) < 60
    assert 0 <= read.clock - read.newest < 60
    with pytest.raises(Refused, match="pgBackRest's archive does not open: it was made with another kit"):
        archive.read(store, kit.new(found.backup, *s3.HOST).keys.pgbackrest)
    store.put("pg/backup/main/backup.info", encrypted("[backup:current]\nx={}\n[backrest]\n", word))
    with pytest.raises(Refused, match="what pgBackRest has noted of its backups cannot be read"):
        archive.read(store, word)


def test_what_came_after_a_line_was_left_leads_to_its_own_times_alone(made: tuple[Bucket, kit.Kit]) -> None:
    """Between the two backups of the first line somebody has gone back."""
    store, found = made
    word = found.keys.pgbackrest
    store.put("pg/archive/main/archive.info", encrypted(INFO, word))
    store.put("pg/backup/main/backup.info", encrypted(BACKUPS, word))
    before = time.time() - 5
    store.put(
        f"{LOG}/00000002.history", encrypted("1\t0/7800000\tbefore 2026-11-27 05:50:00+00\n", "of the log")
    )
    read = archive.read(store, word)
    assert (read.line, labels(read), read.size) == (2, ["20261127-053920F"], 31000000)
    # Of the first line's log nothing counts that it went on with; none of either is there yet.
    assert read.spans == ()
    logged(store, 7, 9)
    logged(store, 7, 8, line=2)
    assert archive.read(store, word).spans == (Span(1795757965),)
    then = archive.read(store, word, before)
    assert (then.line, labels(then)) == (1, ["20261127-053920F", "20261127-060000F"])
    newer = item(1795790000, "00000002", "0/8000000")
    text = BACKUPS.replace("\n\n[db]", f"\n20261127-140000F={newer}\n\n[db]")
    store.put("pg/backup/main/backup.info", encrypted(text, word))
    assert labels(archive.read(store, word)) == ["20261127-053920F", "20261127-140000F"]
    assert labels(archive.read(store, word, before)) == ["20261127-053920F", "20261127-060000F"]
    store.put(f"{LOG}/00000003.history", encrypted("", "of the log"))
    with pytest.raises(Refused, match="the log's line 3 does not say where it begins"):
        archive.read(store, word)


def test_a_gap_in_the_log_and_what_was_found_damaged_lead_nowhere(made: tuple[Bucket, kit.Kit]) -> None:
    store, found = made
    word = found.keys.pgbackrest
    store.put("pg/backup/main/backup.info", encrypted(BACKUPS, word))
    logged(store, 7, 8, 10)
    broken = archive.read(store, word)
    assert broken.spans == (Span(1795757965, store.since(segment(8))),)
    assert broken.until == store.since(segment(10))
    store.put("recovery/damaged", b"damaged 20261127-060000F\ndamaged 20261127-060000F/bundle\nall\n")
    store.put("recovery/damaged.more", b"damaged 20261127-053920F\n")
    logged(store, 9)
    read = archive.read(store, word)
    assert (labels(read), read.spans, read.damaged) == (
        ["20261127-053920F"],
        (Span(1795757965),),
        ("20261127-060000F",),
    )
    # What only follows such a one needs it.
    later = item(1795780000, place="0/9000100").replace("null", '["20261127-060000F"]')
    text = BACKUPS.replace("\n\n[db]", f"\n20261127-060000F_20261127-070000I={later}\n\n[db]")
    store.put("pg/backup/main/backup.info", encrypted(text, word))
    assert labels(archive.read(store, word)) == ["20261127-053920F"]
    store.put("recovery/damaged", f"damaged {1 << 64 | 8:024X}\n".encode())
    assert archive.read(store, word).spans == (
        Span(1795757965, store.since(segment(7))),
        Span(1795780000),
    )


def test_a_bucket_that_was_rewound_says_when_things_came_there_for_the_first_time(
    made: tuple[Bucket, kit.Kit],
) -> None:
    store, found = made
    word, text = found.keys.pgbackrest, "1\t0/7800000\tno recovery target specified\n"
    history = f"{LOG}/00000002.history"
    store.put("pg/archive/main/archive.info", encrypted(INFO, word))
    store.put("pg/backup/main/backup.info", encrypted(BACKUPS, word))
    store.put(history, encrypted(text, "of the log"))
    store.put(segment(7, 2), secrets.token_bytes())
    came = archive.read(store, word).until
    time.sleep(1.1)  # times are whole seconds here
    then = datetime.now(UTC)
    time.sleep(1.1)
    for key in (history, segment(7, 2)):
        store.call("delete_object", Key=key)
    bucket_rewind.put_back(store, bucket_rewind.differences(store, then), lambda _: None)
    read = archive.read(store, word, came + 1)
    assert (read.line, read.until) == (2, came)
    assert read.newest > came + 1
    assert archive.read(store, word, came - 60).line == 1

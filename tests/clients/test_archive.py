"""The archive's lists and a line's beginning, encrypted by openssl as pgBackRest does, at a real server."""

import subprocess
import time
from collections.abc import Iterator

import pytest

from tasks.clients import archive, bucket_rules, kit
from tasks.clients.bucket import Bucket
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.lab import s3

_ITEM = '{{"backup-error":{error},"backup-info-size":{size},"backup-timestamp-stop":{stop},"backup-archive-stop":"{line}0000000000000007","backup-lsn-stop":"{place}"}}'


def item(
    stop: int, line: str = "00000001", place: str = "0/7000100", size: int = 31000000, error: str = "false"
) -> str:
    """What pgBackRest notes of a backup, but for what nobody here reads."""
    return _ITEM.format(stop=stop, line=line, place=place, size=size, error=error)


BACKUPS = f"""[backrest]
backrest-format=5

[backup:current]
20261127-060000F={item(1795759205, size=32000000, place="0/8000100")}
20261127-053920F={item(1795757965)}
20261127-120000F={item(1795780805, size=1, error="true")}

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


def labels(found: archive.Archive) -> list[str]:
    return [item.label for item in found.backups]


def test_backups_and_their_size_are_read_with_the_kit_alone(made: tuple[Bucket, kit.Kit]) -> None:
    store, found = made
    word = found.keys.pgbackrest
    assert archive.read(store, word) == archive.Archive(clock=archive.read(store, word).clock)
    store.put(f"{LOG}/0000000100000000/000000010000000000000001-1.zst", b"")
    store.put("pg/backup/main/backup.info", encrypted(BACKUPS, word))
    read = archive.read(store, word)
    assert labels(read) == ["20261127-053920F", "20261127-060000F"]
    assert (read.line, read.size, read.backups[0].stop) == (1, 32000000, 1795757965)
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

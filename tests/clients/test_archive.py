"""The archive's list of backups, encrypted by openssl as pgBackRest does, at a real server."""

import subprocess
from collections.abc import Iterator

import pytest

from tasks.clients import archive, bucket_rules, kit
from tasks.clients.bucket import Bucket
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.lab import s3

BACKUPS = """[backrest]
backrest-format=5

[backup:current]
20261127-053920F={"backup-error":false,"backup-info-size":31000000,"backup-timestamp-stop":1795757965,"backup-type":"full"}
20261127-053920F_20261127-060000I={"backup-error":false,"backup-info-size":32000000,"backup-timestamp-stop":1795759205}
20261127-053920F_20261127-120000I={"backup-error":true,"backup-info-size":1,"backup-timestamp-stop":1795780805}

[db]
db-id=1
"""


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


def test_their_size_is_read_with_the_kit_alone(made: tuple[Bucket, kit.Kit]) -> None:
    store, found = made
    word = found.keys.pgbackrest
    assert archive.size(store, word) == 0
    store.put("pg/backup/main/backup.info", encrypted(BACKUPS, word))
    assert archive.size(store, word) == 32000000
    with pytest.raises(Refused, match="pgBackRest's archive does not open: it was made with another kit"):
        archive.size(store, kit.new(found.backup, *s3.HOST).keys.pgbackrest)
    store.put("pg/backup/main/backup.info", encrypted("[backup:current]\nx={}\n[backrest]\n", word))
    with pytest.raises(Refused, match="what pgBackRest has noted of its backups cannot be read"):
        archive.size(store, word)

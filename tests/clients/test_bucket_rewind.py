"""Rewind, at a real server: what an attacker with the host's key has done is undone, and nothing more."""

import time
from datetime import UTC, datetime

import pytest

from tasks.clients import bucket_rewind, bucket_rules
from tasks.clients.bucket import Bucket
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.lab import s3


def contents(store: Bucket) -> dict[str, bytes]:
    return {key: store.get(key) for key in store.keys("")}


def test_what_was_wiped_and_written_over_comes_back(server: s3.S3) -> None:
    place = Backup.model_validate({**server.setting, "bucket": "wiped"})
    store = Bucket(place, *s3.ADMIN)
    list(bucket_rules.converged(store))
    with pytest.raises(Refused, match="holds nothing"):
        bucket_rewind.first(store)
    store.put("pg/a", b"old")
    first = store.s3.head_object(Bucket="wiped", Key="pg/a")["LastModified"]
    for number in range(12):
        store.put(f"files/data/{number}", b"%d" % number)
    store.put("files/locks/1", b"lock")
    store.put("pg/a", b"new")
    store.put("pg/gone", b"")
    time.sleep(1.1)  # times are whole seconds here
    store.call("delete_object", Key="pg/gone")
    before = contents(store)
    time.sleep(1.1)
    moment = datetime.now(UTC)
    assert bucket_rewind.differences(store, moment) == []
    time.sleep(1.1)
    for key in store.keys(""):
        store.call("delete_object", Key=key)
    store.put("pg/a", b"for ransom")
    store.put("pg/note", b"pay")
    store.put("pg/gone", b"again")
    said: list[int] = []
    found = bucket_rewind.differences(store, moment)
    assert [item.key for item in found if not item.version] == ["pg/gone", "pg/note"]
    bucket_rewind.put_back(store, found, said.append)
    assert said[-1] == len(found) == 15
    # A lock of then would stop restic.
    del before["files/locks/1"]
    assert contents(store) == before
    assert bucket_rewind.differences(store, moment) == []
    assert bucket_rewind.first(store) == first
    # An earlier time is another bucket; nothing was destroyed on the way.
    everything = bucket_rewind.differences(store, datetime(2020, 1, 1, tzinfo=UTC))
    assert {item.version for item in everything} == {""}
    assert {item.key for item in everything} == {*before}

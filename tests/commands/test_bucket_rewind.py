"""`make bucket-rewind` at a real server: what is wrong with what it was told stops nothing, and what is cut short leaves nothing stopped."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.host import Host

from tasks.clients import bucket_rewind, bucket_rules, kit, recovery, vault_kept
from tasks.clients.bucket import Bucket
from tasks.commands import bucket_rewind as command
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.fake import commands, fake
from tests.lab import s3

MACHINE = ("system debian", "architecture x86_64", "memory_kb 1", "cpus 1", "disk_kb 1", "clock 1")
START = "systemctl start smarteros-heartbeat.timer"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """With a bucket that is set up, one object in it, and then another one in its place."""
    with s3.running_s3(tmp_path_factory.mktemp("s3")) as found, s3.reached():
        store = Bucket(Backup.model_validate(found.setting), *s3.ADMIN)
        list(bucket_rules.converged(store))
        store.put("pg/a", b"good")
        time.sleep(2.1)  # times are whole seconds here
        store.put("pg/a", b"for ransom")
        yield found


@contextmanager
def rewind(
    folder: Path, server: s3.S3, monkeypatch: pytest.MonkeyPatch, to: datetime, name: str = "kit.json"
) -> Iterator[tuple[Host, Bucket]]:
    """The host, and the bucket as the host's key sees it."""
    place = Backup.model_validate(server.setting)
    made = kit.new(place, *s3.HOST)
    kit.write(folder / "kit.json", made)
    monkeypatch.setenv("KIT", str(folder / name))
    monkeypatch.setenv("TO", to.isoformat())
    with fake({}, backup=server.setting, state_dir=str(folder / "state")) as host:
        kit.hold(replace(kit.held_of(made)))
        yield host, Bucket(place, *s3.HOST)


def performed(host: Host) -> tuple[list[str], list[bool]]:
    """What the host is told, and how the steps of this machine end, up to one that fails."""
    told, ended = [], []
    for item in commands(command.rewound):
        if isinstance(item, FunctionCommand):
            function: Any = item.function
            ended.append(function(host.state, host))
            if not ended[-1]:
                break
        else:
            assert isinstance(item, StringCommand)
            told.append(str(item))
    return told, ended


def first(server: s3.S3) -> datetime:
    return bucket_rewind.first(Bucket(Backup.model_validate(server.setting), *s3.HOST))


def test_what_it_cannot_do_is_refused_before_anything_stops(
    tmp_path: Path, server: s3.S3, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime.now(UTC)
    for to, name, why in (
        (now - timedelta(days=1), "kit.json", "is earlier than anything in"),
        (now + timedelta(days=1), "kit.json", "has not come yet"),
        (now, "no.json", "there is no such file on this machine"),
    ):
        folder = tmp_path / why
        folder.mkdir()
        with rewind(folder, server, monkeypatch, to, name) as (host, _):
            assert performed(host) == ([], [False])
        assert why in caplog.text


def test_one_that_is_cut_short_leaves_no_timer_stopped_and_says_how_it_goes_on(
    tmp_path: Path, server: s3.S3, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise Refused("the bucket is away")

    with rewind(tmp_path, server, monkeypatch, first(server)) as (host, _):
        monkeypatch.setattr(bucket_rewind, "put_back", away)
        told, ended = performed(host)
    assert START in told[1]
    assert ended == [True, False]
    assert "the bucket is away; cut short: `make bucket-rewind` with the same words goes on" in caplog.text


def test_it_comes_back_as_it_was(
    tmp_path: Path, server: s3.S3, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with rewind(tmp_path, server, monkeypatch, first(server)) as (host, store):
        told, ended = performed(host)
        assert store.get("pg/a") == b"good"
    assert (len(told), ended) == (3, [True, True, True])
    assert (
        "the sealed state is that of then: `make deploy` from the machine that deploys @fake/one"
        in caplog.text
    )
    assert "1 objects come back as they were, 0 that were not there go; nothing is destroyed" in caplog.text


def test_what_this_machine_alone_knows_is_there_as_it_is_now(
    tmp_path: Path, server: s3.S3, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The bucket holds what it held then; and a deploy elsewhere learns of it from the host."""
    caplog.set_level("INFO")
    with rewind(tmp_path, server, monkeypatch, first(server)) as (host, store):
        vault_kept.keep(vault_kept.Kept(keys=("one",)))
        recovery.put()
        time.sleep(1.1)
        monkeypatch.setenv("TO", datetime.now(UTC).isoformat())
        time.sleep(1.1)
        vault_kept.keep(vault_kept.Kept(keys=("one",), role_id="later"))
        recovery.put()
        told, ended = performed(host)
        assert ended == [True, True, True]
        made = kit.read(tmp_path / "kit.json")
        assert made
        state = recovery.fetched(store, made.keys.private)["state_dir"]["vault.json"]
        assert json.loads(state)["role_id"] == "later"
        assert not recovery.due()
    assert "what this machine alone knows is in the bucket as it is now" in caplog.text
    noted = re.search(r'echo "(.*)" >>/var/lib/smarteros/backup/rewound', told[1])
    assert noted
    machine = {"/proc/meminfo": [*MACHINE, "rewound 1795757000 1795757060 1795750000"], "docker ps": []}
    with fake(machine, backup=server.setting, state_dir=str(tmp_path / "state")):
        assert recovery.due()

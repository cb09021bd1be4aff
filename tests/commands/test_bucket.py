"""`make bucket` at a real server: the bucket, the host's key and the kit are made once, and a second run changes nothing."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tasks.clients import bucket_key, bucket_rules, bucket_trial, kit
from tasks.clients.bucket import Bucket
from tasks.commands import bucket
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.fake import fake
from tests.lab import s3


@pytest.fixture(scope="module")
def iam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """A server that makes keys."""
    with s3.running_s3(tmp_path_factory.mktemp("iam"), iam=True) as server, s3.reached():
        yield server


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """One that makes none."""
    with s3.running_s3(tmp_path_factory.mktemp("plain")) as server, s3.reached():
        yield server


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The operator's credential, and a place for the kit."""
    given = {
        "AWS_ACCESS_KEY_ID": s3.ADMIN[0],
        "AWS_SECRET_ACCESS_KEY": s3.ADMIN[1],
        "KIT": str(tmp_path / "kit.json"),
        "BACKUP_ACCESS_KEY": "",
        "BACKUP_SECRET_KEY": "",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def place(server: s3.S3, name: str) -> dict[str, Any]:
    return {**server.setting, "bucket": name}


def run(folder: Path, backup: dict[str, Any] | None, caplog: pytest.LogCaptureFixture | None = None) -> str:
    """What it says; what it fails with is raised."""
    with fake({}, backup=backup, state_dir=str(folder / "state")):
        bucket.set_up()
    return "\n".join(caplog.messages) if caplog else ""


def held(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "state/fake/one/backup.json").read_text())
    return found


def test_all_is_made_once(iam: s3.S3, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    said = run(tmp_path, place(iam, "first"), caplog)
    made = kit.read(tmp_path / "kit.json")
    assert made is not None
    assert (made.bucket, made.endpoint, made.root) == ("first", iam.setting["endpoint"], iam.root)
    assert f"the kit {tmp_path}/kit.json is that of first ({made.fingerprint})" in said
    for secret in (made.recovery_key, made.secret_key, made.keys.restic, made.keys.pgbackrest, s3.ADMIN[1]):
        assert secret not in said
    assert held(tmp_path) == {
        "public": made.keys.public.hex(),
        "restic": made.keys.restic,
        "pgbackrest": made.keys.pgbackrest,
        "access_key": made.access_key,
        "secret_key": made.secret_key,
    }
    host = Bucket(made.backup, made.access_key, made.secret_key)
    assert bucket_rules.locked(host) == 30
    caplog.clear()
    before = (tmp_path / "kit.json").read_bytes(), held(tmp_path)
    again = run(tmp_path, place(iam, "first"), caplog)
    assert ((tmp_path / "kit.json").read_bytes(), held(tmp_path)) == before
    assert [line for line in again.splitlines() if "is made" in line] == []


def test_another_machine_gets_its_part_from_the_kit(iam: s3.S3, tmp_path: Path) -> None:
    run(tmp_path, place(iam, "second"))
    before = held(tmp_path)
    (tmp_path / "state/fake/one/backup.json").unlink()
    run(tmp_path, place(iam, "second"))
    assert held(tmp_path) == before


def test_a_key_that_was_made_anew_is_the_hosts_from_then_on(iam: s3.S3, tmp_path: Path) -> None:
    run(tmp_path, place(iam, "stolen"))
    made = kit.read(tmp_path / "kit.json")
    assert made is not None
    admin = Bucket(made.backup, *s3.ADMIN)
    keys: Any = admin.client("iam", made.endpoint)
    new = keys.create_access_key(UserName=bucket_key.user("stolen"))["AccessKey"]
    renewed = replace(made, access_key=new["AccessKeyId"], secret_key=new["SecretAccessKey"])
    (tmp_path / "kit.json").write_text(json.dumps(asdict(renewed)))
    bucket_key.forget(admin, made.access_key)
    run(tmp_path, place(iam, "stolen"))
    assert held(tmp_path) == asdict(kit.held_of(renewed))
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        Bucket(made.backup, made.access_key, made.secret_key).s3.list_objects_v2(Bucket="stolen")


def test_a_key_is_given_where_the_server_makes_none(
    plain: s3.S3, tmp_path: Path, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Refused, match="give it as BACKUP_ACCESS_KEY and BACKUP_SECRET_KEY"):
        run(tmp_path, plain.setting)
    assert not (tmp_path / "kit.json").exists()
    environment.setenv("BACKUP_ACCESS_KEY", s3.HOST[0])
    with pytest.raises(Refused, match="BACKUP_SECRET_KEY: missing from the environment: the host's key"):
        run(tmp_path, plain.setting)
    environment.setenv("BACKUP_SECRET_KEY", s3.HOST[1])
    said = run(tmp_path, plain.setting, caplog)
    assert "the host's key may delete versions older than 30 days" in said
    assert held(tmp_path)["access_key"] == s3.HOST[0]


def keys_of(server: s3.S3, name: str) -> list[str]:
    admin = Bucket(Backup.model_validate(place(server, name)), *s3.ADMIN)
    return list(bucket_key.there(admin))


def test_a_key_of_no_use_is_taken_back(iam: s3.S3, tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    with environment.context() as inner:
        inner.setattr(bucket_trial, "_read_back", refuse)
        with pytest.raises(Refused, match="it does not come back"):
            run(tmp_path, place(iam, "third"))
    assert keys_of(iam, "third") == []
    assert [path.name for path in tmp_path.iterdir()] == []


def test_nothing_is_made_where_no_kit_can_be_written(
    iam: s3.S3, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("KIT", "/proc/kit.json")
    with pytest.raises(Refused, match=r"KIT=/proc/kit\.json cannot be written: "):
        run(tmp_path, place(iam, "nowhere"))
    assert keys_of(iam, "nowhere") == []
    assert not (tmp_path / "state").exists()


def refuse(*_: object) -> None:
    raise Refused("it does not come back")


def killed(module: ModuleType, name: str, folder: Path, backup: dict[str, Any], *, after: bool) -> None:
    """A run that ends there, before or after that call, as one that is killed."""
    called = getattr(module, name)

    def ends(*given: Any) -> None:
        if after:
            called(*given)
        os._exit(9)

    if (child := os.fork()) == 0:
        setattr(module, name, ends)
        with suppress(BaseException):
            run(folder, backup)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("module", "name"), [(bucket_key, "made"), (bucket, "_tried"), (kit, "write"), (kit, "hold")]
)
def test_a_run_that_was_killed_leaves_no_key_that_nobody_has_and_the_next_one_ends_it(
    iam: s3.S3, tmp_path: Path, module: ModuleType, name: str, after: bool
) -> None:
    backup = place(iam, f"killed-{name.strip('_')}-{after}".lower())
    killed(module, name, tmp_path, backup, after=after)
    run(tmp_path, backup)
    made = kit.read(tmp_path / "kit.json")
    assert made is not None
    assert keys_of(iam, backup["bucket"]) == [made.access_key]
    assert held(tmp_path) == asdict(kit.held_of(made))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kit.json", "state"]


def test_what_is_missing_or_another_ones_is_refused(
    iam: s3.S3, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    def refused(backup: dict[str, Any] | None, **changes: str) -> str:
        with environment.context() as inner:
            for name, value in changes.items():
                inner.setenv(name, value)
            with pytest.raises(Refused) as caught:
                run(tmp_path, backup)
        return str(caught.value)

    assert "backup: not set: name a bucket first" in refused(None)
    assert "say where the kit is: KIT=" in refused(place(iam, "x"), KIT="")
    assert "lies in this repository" in refused(place(iam, "x"), KIT="kit.json")
    assert "AWS_SECRET_ACCESS_KEY: missing" in refused(place(iam, "fourth"), AWS_SECRET_ACCESS_KEY="")
    run(tmp_path, place(iam, "fourth"))
    assert "kit.json is that of fourth at" in refused(place(iam, "fifth"))
    elsewhere = str(tmp_path / "other.json")
    assert "@fake/one has a kit already" in refused(place(iam, "fourth"), KIT=elsewhere)
    store = Bucket(Backup.model_validate(place(iam, "fourth")), *s3.ADMIN)
    store.put("recovery/one/state", b"x")
    (tmp_path / "state/fake/one/backup.json").unlink()
    assert "holds backups that another kit opens" in refused(place(iam, "fourth"), KIT=elsewhere)

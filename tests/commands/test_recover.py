"""`make recover` at a real server: what is refused before a host is asked anything, and what this machine knows again."""

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest

from tasks.clients import archive, bucket_rules, kit, recovery, vault_kept
from tasks.clients.bucket import Bucket
from tasks.commands import answers, recover
from tasks.connection import host_key
from tasks.facts.restorable import BackedUp
from tasks.facts.spans import Span
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.fake import fake
from tests.lab import s3
from tests.signals import heard

ADDRESS = "root@203.0.113.7:2222"
KEY = paramiko.ECDSAKey.generate()
PINS = {"redis:7.4.11-alpine": f"sha256:{'1' * 64}"}
THERE = archive.Archive(
    backups=(BackedUp("1F", 1000), BackedUp("1F_2I", 2000)),
    spans=(Span(1000),),
    size=4711,
    until=3000,
    newest=3000,
    clock=4000,
)
LOG = "pg/archive/main/16-1/0000000100000000/000000010000000000000001-1.zst"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """With a bucket that is set up."""
    with s3.running_s3(tmp_path_factory.mktemp("s3")) as found, s3.reached():
        list(bucket_rules.converged(Bucket(Backup.model_validate(found.setting), *s3.ADMIN)))
        yield found


@pytest.fixture
def made(server: s3.S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> kit.Kit:
    """The kit of a host that another machine has deployed, and whose log has just come to the bucket; a machine without anything."""
    found = kit.new(Backup.model_validate(server.setting), *s3.HOST)
    kit.write(tmp_path / "kit.json", found)
    given = {"HOME": str(tmp_path / "home"), "KIT": str(tmp_path / "kit.json"), "FORCE": "", "TO": ""}
    given |= {"FINGERPRINT": KEY.fingerprint, "YES": ""}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        host_key,
        "shown",
        lambda data: host_key.HostKey(f"[{data['ssh_hostname']}]:{data.get('ssh_port', 22)}", KEY),
    )
    store = Bucket(found.backup, *s3.HOST)
    for name in store.keys(""):
        store.call("delete_object", Key=name)
    changes: dict[str, Any] = {"backup": server.setting, "timezone": "Europe/Madrid", "_pins": PINS}
    with fake({"docker ps": []}, state_dir=str(tmp_path / "then"), **changes):
        kit.hold(kit.held_of(found))
        vault_kept.keep(vault_kept.Kept(keys=("one", "two"), role_id="role", secret_id="secret"))
        monkeypatch.setattr(recovery, "place", lambda: "recovery/lost/state")
        recovery.put()
    store.put(LOG, b"")
    return found


def home(folder: Path) -> Path:
    return folder / "home/.local/state/smarteros"


def refused(address: str = ADDRESS) -> str:
    with pytest.raises(Refused) as error:
        recover.prepared(address)
    return str(error.value)


def test_this_machine_knows_again_what_the_other_one_knew(
    made: kit.Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE", "1")
    monkeypatch.setattr(archive, "read", lambda *_: THERE)
    found = json.loads(recover.prepared(ADDRESS)["SMARTEROS_RECOVER"])
    assert found == {"to": "", "label": "1F_2I", "line": 1, "size": 4711}
    note = json.loads((home(tmp_path) / "recovered.json").read_text())
    assert note["name"] == "@fake/one"
    assert note["data"]["timezone"] == "Europe/Madrid"
    assert note["data"]["_pins"] == PINS
    assert note["data"]["state_dir"] == str(home(tmp_path))
    assert (note["data"]["ssh_hostname"], note["data"]["ssh_user"], note["data"]["ssh_port"]) == (
        "203.0.113.7",
        "root",
        2222,
    )
    for name in ("vault.json", "backup.json"):
        now, then = home(tmp_path) / "fake/one" / name, tmp_path / "then/fake/one" / name
        assert now.read_text() == then.read_text()
        assert now.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("TO", "1970-01-01 00:33:20Z")
    found = json.loads(recover.prepared(ADDRESS)["SMARTEROS_RECOVER"])
    assert found == {"to": "1970-01-01 00:33:20.000000+00", "label": "1F", "line": 1, "size": 4711}
    # A key that was made anew since the state was sealed.
    renewed = replace(made, access_key=s3.ADMIN[0], secret_key=s3.ADMIN[1])
    kit.write(tmp_path / "renewed.json", renewed)
    monkeypatch.setenv("KIT", str(tmp_path / "renewed.json"))
    assert recover.prepared(ADDRESS)
    now = json.loads((home(tmp_path) / "fake/one/backup.json").read_text())
    assert (now["access_key"], now["secret_key"], now["restic"]) == (*s3.ADMIN, made.keys.restic)
    # It was this command that has written there last: the next run of it goes on.
    monkeypatch.setenv("FORCE", "")
    assert recover.prepared(ADDRESS)
    monkeypatch.setattr(archive, "read", lambda *_: replace(THERE, newest=3900))
    assert "the old host may still live" in refused("203.0.113.8")


def test_a_host_whose_key_nobody_knows_gets_nothing(
    made: kit.Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert made.bucket
    monkeypatch.setenv("FORCE", "1")
    monkeypatch.setattr(archive, "read", lambda *_: THERE)
    known = tmp_path / "home/.ssh/known_hosts"
    monkeypatch.setenv("FINGERPRINT", "SHA256:another")
    assert refused().endswith("and FINGERPRINT is SHA256:another: it is not that host")
    monkeypatch.setenv("FINGERPRINT", "")
    monkeypatch.setattr(answers, "_line", lambda _: None)  # there is no terminal
    assert refused().startswith("FINGERPRINT is missing, and nobody can be asked")
    assert (
        f"recover: {ADDRESS} shows the key {KEY.fingerprint} (ecdsa-sha2-nistp256)" in capfd.readouterr().err
    )
    assert not home(tmp_path).exists()
    assert not known.exists()
    monkeypatch.setattr(answers, "_line", lambda _: "yes")
    assert recover.prepared(ADDRESS)
    assert known.read_text() == f"[203.0.113.7]:2222 ecdsa-sha2-nistp256 {KEY.get_base64()}\n"
    # It is asked for once, and another key that turns up later is refused.
    monkeypatch.setattr(answers, "_line", lambda _: None)
    assert recover.prepared(ADDRESS)
    other = host_key.HostKey("[203.0.113.7]:2222", paramiko.ECDSAKey.generate())
    monkeypatch.setattr(host_key, "shown", lambda _: other)
    assert "shows another key" in refused()


def test_a_bucket_that_is_written_to_is_refused_and_nothing_is_kept(made: kit.Kit, tmp_path: Path) -> None:
    assert "was written to " in refused()
    Bucket(made.backup, *s3.HOST).call("delete_object", Key=LOG)
    assert "holds nothing of Postgres" in refused()
    assert not home(tmp_path).exists()


def test_another_kit_opens_nothing(made: kit.Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.write(tmp_path / "other.json", kit.new(made.backup, *s3.HOST))
    monkeypatch.setenv("FORCE", "1")
    monkeypatch.setenv("KIT", str(tmp_path / "other.json"))
    assert refused() == "the sealed state does not open with this kit: it is of another one, or damaged"
    monkeypatch.setenv("KIT", str(tmp_path / "nowhere.json"))
    assert refused().endswith(
        "nowhere.json: there is no such file on this machine: name the kit that `make bucket` has written, or a copy of it"
    )
    assert not home(tmp_path).exists()


def another(made: kit.Kit, folder: Path, monkeypatch: pytest.MonkeyPatch, role: str) -> Bucket:
    """The bucket, with a later state of a host of another name, whose unseal keys were changed since."""
    changes: dict[str, Any] = {
        "backup": {"endpoint": made.endpoint, "bucket": made.bucket, "root": made.root}
    }
    time.sleep(1.1)  # servers note seconds
    with fake({"docker ps": []}, state_dir=str(folder / "renamed"), timezone="Europe/Lisbon", **changes):
        kit.hold(kit.held_of(made))
        vault_kept.keep(vault_kept.Kept(keys=("new",), role_id=role, secret_id="secret"))
        monkeypatch.setattr(recovery, "place", lambda: "recovery/a-new-name/state")
        recovery.put()
    return Bucket(made.backup, *s3.HOST)


def test_a_host_that_was_renamed_comes_back_as_it_was_under_its_last_name(
    made: kit.Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE", "1")
    monkeypatch.setattr(archive, "read", lambda *_: THERE)
    another(made, tmp_path, monkeypatch, "role")
    assert recover.prepared(ADDRESS)
    note = json.loads((home(tmp_path) / "recovered.json").read_text())
    assert note["data"]["timezone"] == "Europe/Lisbon"
    assert "the host has had 2 names" in capsys.readouterr().err


def test_a_bucket_that_is_not_one_hosts_is_refused(
    made: kit.Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE", "1")
    store = another(made, tmp_path, monkeypatch, "another role")
    assert " holds sealed states of 2 hosts with different Vaults" in refused()
    for name in ("lost", "a-new-name"):
        store.call("delete_object", Key=f"recovery/{name}/state")
    assert " holds no sealed state of a host" in refused()


def test_keys_of_another_vault_are_left(
    made: kit.Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made.bucket
    monkeypatch.setenv("FORCE", "1")
    path = home(tmp_path) / "fake/one/vault.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"keys": ["another"]}')
    assert "holds unseal keys of another Vault than the bucket's: move it away" in refused()
    assert path.read_text() == '{"keys": ["another"]}'
    assert not path.with_name("backup.json").exists()


def test_what_it_keeps_is_whole_wherever_it_is_cut_short(
    made: kit.Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made.bucket
    monkeypatch.setenv("FORCE", "1")
    assert recover.prepared(ADDRESS)
    path = home(tmp_path) / "fake/one/vault.json"
    before = path.read_text()

    def cut(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(KeyboardInterrupt):
        recover.prepared(ADDRESS)
    assert path.read_text() == before


def test_ctrl_c_ends_it_as_it_ends_a_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    monkeypatch.setattr(recover, "prepared", interrupted)
    with heard(), pytest.raises(SystemExit) as ended:
        recover.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "recover: ended; the same command goes on where it was\n"


@pytest.mark.parametrize(
    ("to", "why"),
    [
        (
            "1970-01-01 00:16:40Z",
            "TO=1970-01-01 00:16:40Z is earlier than the oldest: {there}. What was deleted or damaged in the last 30 days comes back with `make bucket-rewind KIT=… TO=…`",
        ),
        ("1970-01-01 00:50:01Z", "TO=1970-01-01 00:50:01Z is later than the newest: {there}"),
        (
            "1970-01-01 00:20:00",
            "TO='1970-01-01 00:20:00' names no zone: add Z for UTC, or an offset as in 2026-11-26 16:59:49-03:00",
        ),
    ],
)
def test_a_time_that_is_not_there_is_refused_with_what_is_and_nothing_is_kept(
    made: kit.Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, why: str
) -> None:
    assert made.bucket
    monkeypatch.setattr(archive, "read", lambda *_: THERE)
    monkeypatch.setenv("TO", to)
    assert refused() == why.format(
        there="there is any second from 1970-01-01 00:16:40Z to 1970-01-01 00:50:00Z"
    )
    monkeypatch.setattr(archive, "read", lambda *_: archive.Archive())
    assert "so nothing to go back to" in refused() or "names no zone" in why
    assert not home(tmp_path).exists()


@pytest.mark.parametrize("address", ["", "root@", "a b", "root@a:b"])
def test_what_names_no_host_is_refused(address: str) -> None:
    assert refused(address).endswith(
        "say which VPS it is, as root@203.0.113.7, or as admin@203.0.113.7:2222 where its port is another"
    )


def test_whoever_is_not_root_is_made_root() -> None:
    assert answers.login_of("deploy@new.example.com") == {
        "ssh_hostname": "new.example.com",
        "ssh_user": "deploy",
        "_sudo": True,
    }

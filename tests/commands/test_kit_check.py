"""`make kit-check` at a real server: with what restic and pgBackRest have written there, and with a kit that is not the one."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tasks.clients import bucket_rules, kit, recovery, vault_kept, vault_values
from tasks.clients.bucket import Bucket
from tasks.commands import kit_check
from tasks.model.stack import Backup
from tasks.run import Refused
from tests.clients.test_openings import CONFIG, INFO, KEY
from tests.fake import fake
from tests.lab import s3

SECRETS = {
    "S3_KEY": s3.HOST[0],
    "S3_KEY_SECRET": s3.HOST[1],
    "RESTIC_PASSWORD": kit.derived(bytes(range(32))).restic,
    "PGBACKREST_CIPHER": kit.derived(bytes(range(32))).pgbackrest,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """With a bucket that is set up."""
    with s3.running_s3(tmp_path_factory.mktemp("s3")) as found, s3.reached():
        list(bucket_rules.converged(Bucket(Backup.model_validate(found.setting), *s3.ADMIN)))
        yield found


@pytest.fixture
def made(server: s3.S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> kit.Kit:
    """The kit that the host was deployed with, in its file; an empty bucket."""
    place = Backup.model_validate(server.setting)
    keys = kit.derived(bytes(range(32)))
    text = kit.written(bytes(range(32)))
    found = replace(kit.new(place, *s3.HOST), recovery_key=text, fingerprint=kit.fingerprint(keys.public))
    kit.write(tmp_path / "kit.json", found)
    monkeypatch.setenv("KIT", str(tmp_path / "kit.json"))
    monkeypatch.setattr(vault_values, "values", {"backup": SECRETS}.__getitem__)
    store = Bucket(place, *s3.HOST)
    for name in store.keys(""):
        store.call("delete_object", Key=name)
    return found


def run(folder: Path, server: s3.S3, *, stored: bool = True) -> recovery.Noted:
    """After a deploy, which has stored the state."""
    with fake({"docker ps": []}, backup=server.setting, state_dir=str(folder / "state")):
        if stored:
            kit.hold(kit.held_of(_kit(folder)))
            vault_kept.keep(vault_kept.Kept(keys=("one",)))
            recovery.put()
        kit_check.prove()
        return recovery.noted()


def _kit(folder: Path) -> kit.Kit:
    found = kit.read(folder / "kit.json")
    assert found is not None
    return found


def test_everything_that_is_there_opens(
    server: s3.S3, made: kit.Kit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert run(tmp_path, server).checked == made.fingerprint
    assert "the sealed state opens" in caplog.text
    assert "restic's repository (files, dumps, Vault) is not in the bucket yet" in caplog.text
    store = Bucket(made.backup, *s3.HOST)
    for name, text in (
        ("files/keys/e2", KEY),
        ("files/config", CONFIG),
        ("pg/archive/main/archive.info", INFO),
    ):
        store.put(name, text)
    caplog.clear()
    run(tmp_path, server)
    assert "restic's repository (files, dumps, Vault) opens" in caplog.text
    assert "pgBackRest's archive (databases) opens" in caplog.text
    assert "yet" not in caplog.text
    for secret in (*SECRETS.values(), made.recovery_key):
        assert secret not in caplog.text.replace(s3.HOST[0], "")


# Of each one's first file a bit of what it is encrypted with, and what is said.
_DAMAGED = (
    (
        "files/keys/e2",
        KEY.replace(b"5heB", b"5heC"),
        "restic's repository does not open: InvalidSignature: it was",
    ),
    (
        "pg/archive/main/archive.info",
        INFO[:16] + bytes(80),
        "pgBackRest's archive does not open: it was made with",
    ),
)


@pytest.mark.parametrize("damaged", _DAMAGED, ids=lambda damaged: damaged[0])
def test_what_does_not_open_is_named_and_nothing_is_noted(
    server: s3.S3, made: kit.Kit, tmp_path: Path, damaged: tuple[str, bytes, str]
) -> None:
    store = Bucket(made.backup, *s3.HOST)
    store.put("files/config", CONFIG)
    store.put(damaged[0], damaged[1])
    with pytest.raises(Refused) as refused:
        run(tmp_path, server)
    assert damaged[2] in str(refused.value)
    noted = json.loads((tmp_path / "state/fake/one/recovery.json").read_text())
    assert noted["checked"] == ""


def test_another_kit_is_refused(
    server: s3.S3, made: kit.Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.json"
    kit.write(other, kit.new(made.backup, *s3.HOST))
    run(tmp_path, server)
    with monkeypatch.context() as inner:
        inner.setenv("KIT", str(other))
        with pytest.raises(
            Refused, match="the sealed state does not open with this kit: it is of another one"
        ):
            run(tmp_path, server, stored=False)
    monkeypatch.setattr(vault_values, "values", {"backup": {**SECRETS, "RESTIC_PASSWORD": "x"}}.__getitem__)
    with pytest.raises(Refused, match=r"uses other keys than this kit's .RESTIC_PASSWORD in secret/backup"):
        run(tmp_path, server, stored=False)
    monkeypatch.setattr(vault_values, "values", {"backup": {**SECRETS, "S3_KEY": "AKIAOLD"}}.__getitem__)
    with pytest.raises(
        Refused, match=r"another key for the bucket .*`make give-secrets NAME=backup#S3_KEY` tells Vault"
    ):
        run(tmp_path, server, stored=False)
    monkeypatch.setattr(vault_values, "values", {"backup": {}}.__getitem__)
    with pytest.raises(Refused, match="Vault does not hold secret/backup yet: `make deploy` writes it"):
        run(tmp_path, server, stored=False)
    monkeypatch.setenv("KIT", str(tmp_path / "none.json"))
    with pytest.raises(
        Refused,
        match=r"none\.json: there is no such file on this machine: name the kit that `make bucket` has written",
    ):
        run(tmp_path, server, stored=False)


def test_a_kit_whose_own_words_are_wrong_is_found_out(server: s3.S3, made: kit.Kit, tmp_path: Path) -> None:
    run(tmp_path, server)
    changed: dict[str, Any] = {**asdict(made), "root": ""}
    (tmp_path / "kit.json").write_text(json.dumps(changed))
    with pytest.raises(Refused, match=r"its authority in backup\.root"):
        run(tmp_path, server, stored=False)


def test_a_machine_with_other_keys_than_the_state_is_said(
    server: s3.S3, made: kit.Kit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path, server)
    with fake({"docker ps": []}, backup=server.setting, state_dir=str(tmp_path / "state")):
        vault_kept.keep(vault_kept.Kept(keys=("one",), role_id="new"))
        kit_check.prove()
        assert "the sealed state is older than what this machine knows" in caplog.text
        vault_kept.keep(vault_kept.Kept(keys=("two",)))
        with pytest.raises(Refused, match="holds other unseal keys than this machine"):
            kit_check.prove()

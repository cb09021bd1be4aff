"""Recovery: what this machine alone knows goes sealed into a real bucket, Vault's keys before the first unseal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.host import Host

from tasks import recovery as phase
from tasks import vault
from tasks.clients import bucket_rules, kit, recovery, state_dir, vault_kept, vault_session
from tasks.clients.bucket import Bucket
from tasks.model import settings as outside
from tasks.model.stack import Backup
from tasks.operations import vault_policies
from tasks.run import Refused, services
from tasks.run import stack as current
from tasks.services import every
from tests.fake import Responses, commands, fake
from tests.lab import s3
from tests.openbao import OpenBao, new_openbao
from tests.samples import stack

CONTAINER = "c|/vault|vault|d||running|healthy|0|x:1|smarter-net "
IMAGE = f"i|n8nio/n8n|2.30.8|sha256:{'1' * 64}"
RUNS: Responses = {"docker ps -aq": [CONTAINER, IMAGE]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """With a bucket that is set up."""
    with s3.running_s3(tmp_path_factory.mktemp("s3")) as found, s3.reached():
        list(bucket_rules.converged(Bucket(Backup.model_validate(found.setting), *s3.ADMIN)))
        yield found


@pytest.fixture
def made(server: s3.S3) -> kit.Kit:
    """A kit of its own for each test."""
    return kit.new(Backup.model_validate(server.setting), *s3.HOST)


@contextmanager
def run(folder: Path, made: kit.Kit, **changes: Any) -> Iterator[Host]:
    """A run on the host, with the kit's part on this machine."""
    setting = {"endpoint": made.endpoint, "bucket": made.bucket, "root": made.root}
    given = {"backup": setting, "state_dir": str(folder / "state"), **changes}
    executing = bool(given.pop("executing", True))
    with fake(RUNS, executing=executing, **given) as host:
        if changes.get("backup", setting) == setting:
            kit.hold(kit.held_of(made))
        yield host


def perform(host: Host, steps: Any) -> int:
    """The number of changes; each has to succeed."""
    done = 0
    for step in steps:
        assert step.function(host.state, host) is True
        done += 1
    return done


def opened(made: kit.Kit) -> dict[str, Any]:
    return recovery.fetched(Bucket(made.backup, *s3.HOST), made.keys.private)


def test_what_is_known_is_stored_once_and_again_when_it_changes(tmp_path: Path, made: kit.Kit) -> None:
    with run(tmp_path, made) as host:
        vault_kept.keep(vault_kept.Kept(keys=("one", "two")))
        assert perform(host, commands(phase.stored)) == 1
        first = opened(made)
        assert json.loads(first["state_dir"]["vault.json"])["keys"] == ["one", "two"]
        assert sorted(first["state_dir"]) == ["backup.json", "vault.json"]
        assert first["host"] == "@fake/one"
        assert first["images"]["n8nio/n8n:2.30.8"] == f"sha256:{'1' * 64}"
        assert first["package"]["version"] == "0.1.0"
        assert commands(phase.stored) == []
        vault_kept.keep(vault_kept.Kept(keys=("one", "two"), role_id="r"))
        assert perform(host, commands(phase.stored)) == 1
        assert json.loads(opened(made)["state_dir"]["vault.json"])["role_id"] == "r"
    with run(tmp_path, made, profile="production") as host:
        assert perform(host, commands(phase.stored)) == 1
    with run(tmp_path, kit.new(made.backup, *s3.HOST), profile="production") as host:
        assert perform(host, commands(phase.stored)) == 1  # the same for another kit is another state


def test_the_stored_settings_are_those_of_the_host(tmp_path: Path, made: kit.Kit) -> None:
    root = tmp_path / "root.pem"
    root.write_text(made.root)
    rules = [{"port": "6000-6010", "protocol": "udp", "from": ["198.51.100.0/24"]}, {"protocol": "esp"}]
    changes = {
        "acme_root": str(root),
        "trusted_root": str(root),
        "open_ports": rules,
        "mail": {"host": "smtp.example.com", "from": "ops@example.com"},
        "overrides": {"n8n": {"memory_mb": 2048, "allow_from": ["203.0.113.0/24"]}},
        "_sudo": True,
    }
    with run(tmp_path, made, **changes) as host:
        perform(host, commands(phase.stored))
        stored = opened(made)
        root.unlink()
        again = outside.read({**stored["settings"], "trusted_root": ""}, every())
    with run(tmp_path, made, **{**changes, "acme_root": made.root, "trusted_root": ""}):
        expected = current()
    assert again == expected
    assert stored["trusted_root"] == made.root
    assert "_sudo" not in stored["settings"]


def test_without_a_bucket_nothing_is_asked(tmp_path: Path, made: kit.Kit) -> None:
    with run(tmp_path, made, backup=None):
        assert not recovery.due()


def _vault() -> Any:
    return next(item for item in services() if item.name == "vault")


def test_a_bucket_that_is_away_costs_no_deploy_and_is_said(
    tmp_path: Path, made: kit.Kit, caplog: pytest.LogCaptureFixture
) -> None:
    with run(tmp_path, made) as host:
        kit.hold(kit.Held(made.keys.public.hex(), "r", "p", "AKIANOBODY", "s"))
        assert perform(host, commands(phase.stored)) == 1
        assert "is not in the bucket, and the next deploy tries again" in caplog.text
        assert "does not know this access key" in caplog.text
        assert len(commands(phase.stored)) == 1
        kit.file().unlink()
        caplog.clear()
        assert commands(phase.stored) == []
        assert "backup.json is not there: `make bucket KIT=…` with the kit makes it again" in caplog.text


def test_it_is_warned_until_the_kit_was_checked(
    tmp_path: Path, made: kit.Kit, caplog: pytest.LogCaptureFixture
) -> None:
    with run(tmp_path, made):
        commands(phase.stored)
        assert "nobody has proven yet that the kit opens these backups" in caplog.text
        caplog.clear()
        recovery.note(recovery.Noted(checked=made.fingerprint))
        commands(phase.stored)
        assert caplog.text == ""
        recovery.note(recovery.Noted(checked="another"))
        commands(phase.stored)
        assert "nobody has proven yet" in caplog.text
    with run(tmp_path, made, executing=False):
        caplog.clear()
        assert len(commands(phase.stored)) == 1
        assert caplog.text == ""


def test_a_recovery_has_proven_the_kit(
    tmp_path: Path, made: kit.Kit, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMARTEROS_RECOVER", "{}")
    with run(tmp_path, made):
        commands(phase.stored)
        assert caplog.text == ""
        assert recovery.noted().checked == made.fingerprint


def test_another_kit_and_another_version_do_not_open_it(tmp_path: Path, made: kit.Kit) -> None:
    store = Bucket(made.backup, *s3.HOST)
    with run(tmp_path, made) as host:
        perform(host, commands(phase.stored))
        with pytest.raises(Refused, match="does not open with this kit"):
            recovery.fetched(store, kit.new(made.backup, *s3.HOST).keys.private)
        store.put(recovery.place(), kit.sealed(made.keys.public.hex(), b'{"format": 2}'))
        with pytest.raises(Refused, match="another version of SmarterOS"):
            opened(made)
        store.call("delete_object", Key=recovery.place())
        with pytest.raises(Refused, match="has no recovery/fake/one/state yet: `make deploy` stores it"):
            opened(made)


@pytest.fixture
def bao(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenBao]:
    """A server that nobody has initialised."""
    for name in ("VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "bao"
    folder.mkdir()
    with new_openbao(folder) as found:
        monkeypatch.setattr(vault_session, "PORT", found.port)
        yield found


def _first_run(host: Host, bao: OpenBao) -> Iterator[tuple[bool, int]]:
    """After each step of the phase: whether it succeeded, and Vault's health then."""
    for step in vault.ready._inner(_vault()):  # type: ignore[attr-defined]
        yield bool(step.function(host.state, host)), bao._health()


def test_the_keys_are_in_the_bucket_before_they_unseal_anything(
    bao: OpenBao, tmp_path: Path, made: kit.Kit
) -> None:
    bare = partial(run, tmp_path, made, services=["vault"], vault_engine="openbao", acme_email=None)
    with bare() as host:
        steps = _first_run(host, bao)
        assert next(steps) == (True, 503)  # initialised
        keys = vault_kept.kept()
        assert keys is not None
        assert next(steps) == (True, 503)  # in the bucket, and still sealed
        assert json.loads(opened(made)["state_dir"]["vault.json"])["keys"] == list(keys.keys)
        assert next(steps) == (True, 200)
        assert list(steps) == []
        perform(host, vault_policies.configured._inner())  # type: ignore[attr-defined]
        assert perform(host, commands(phase.stored)) == 1
        stored = json.loads(opened(made)["state_dir"]["vault.json"])
        assert (stored["root_token"], stored["secret_id"] != "") == ("", True)


def test_without_the_bucket_the_first_unseal_waits_and_later_ones_do_not(
    bao: OpenBao, tmp_path: Path, made: kit.Kit, caplog: pytest.LogCaptureFixture
) -> None:
    bare = partial(run, tmp_path, made, services=["vault"], vault_engine="openbao", acme_email=None)
    with bare() as host:
        kit.hold(kit.Held(made.keys.public.hex(), "r", "p", "AKIANOBODY", "s"))
        steps = _first_run(host, bao)
        assert next(steps) == (True, 503)
        assert next(steps) == (False, 503)  # where pyinfra ends the run
        assert "does not know this access key" in caplog.text
    with bare() as host:
        assert list(_first_run(host, bao)) == [(True, 503), (True, 200)]
        perform(host, vault_policies.configured._inner())  # type: ignore[attr-defined]
        kit.hold(kit.Held(made.keys.public.hex(), "r", "p", "AKIANOBODY", "s"))
        bao.stop()
        bao.start()
        assert list(_first_run(host, bao)) == [(True, 200)]


def test_a_first_deploy_is_refused_before_it_changes_anything(tmp_path: Path, made: kit.Kit) -> None:
    with run(tmp_path, made, executing=False) as host:
        Bucket(made.backup, *s3.HOST).call("delete_object", Key=recovery.place())
        assert list(recovery.refusals()) == []
        vault_kept.keep(vault_kept.Kept(keys=("one",), root_token="r"))
        perform(host, commands(phase.stored))
        assert list(recovery.refusals()) == []  # a first run that has ended in the middle
        vault_kept.state_file().unlink()
        (line,) = recovery.refusals()
        assert "holds the state of a @fake/one that was before, with its unseal keys" in line
        kit.hold(kit.Held(made.keys.public.hex(), "r", "p", "AKIANOBODY", "s"))
        (line,) = recovery.refusals()
        assert "does not know this access key" in line
        vault_kept.keep(vault_kept.Kept(keys=("one",), role_id="r"))
        assert list(recovery.refusals()) == []  # from then on a bucket that is away costs no deploy
    rest = [name for name in stack().services if name != "vault"]
    for other in ({"backup": None}, {"vault_address": "https://vault.x.cl", "services": rest}):
        with run(tmp_path, made, **other):
            vault_kept.state_file().unlink(missing_ok=True)
            assert list(recovery.refusals()) == []


def test_where_this_machine_has_no_git_no_commit_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert recovery.package() == {"version": "0.1.0", "commit": ""}


def test_a_folder_that_cannot_be_sealed_is_said(tmp_path: Path, made: kit.Kit) -> None:
    with run(tmp_path, made):
        (state_dir.folder() / "x").write_bytes(b"\xff")
        with pytest.raises(Refused, match="cannot be read, and so not be sealed"):
            recovery.due()

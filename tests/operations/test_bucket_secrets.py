"""What opens the bucket comes into Vault once, from what this machine keeps of the kit; against a real OpenBao."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest
from pyinfra.api.command import FunctionCommand

from tasks import vault
from tasks.clients import kit, recovery, vault_session, vault_values
from tasks.clients.kit import Held
from tasks.operations import bucket_secrets, vault_policies
from tasks.run import services
from tasks.secrets import env_text
from tests.fake import commands, fake
from tests.openbao import OpenBao, new_openbao

CONTAINER = "c|/vault|vault|d||running|healthy|0|x:1|smarter-net "
RUNS = {"docker ps -aq": [CONTAINER]}
BACKUP = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}
HELD = Held("ab" * 32, "restic-word", "cipher-word", "AKIA", "secret-key")


@pytest.fixture
def bao(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenBao]:
    for name in ("VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID"):
        monkeypatch.delenv(name, raising=False)
    with new_openbao(tmp_path) as server:
        monkeypatch.setattr(vault_session, "PORT", server.port)
        monkeypatch.setattr(recovery, "due", lambda: False)  # no bucket is there that could take it
        yield server


def run(state: Path, **changes: Any) -> Any:
    options = {"vault_engine": "openbao", "services": ["vault", "postgres"], "backup": BACKUP, **changes}
    return fake(RUNS, state_dir=str(state / "state"), **options)


def prepared() -> Iterator[Any]:
    main = next(item for item in services() if item.name == "vault")
    yield from vault.ready._inner(main)  # type: ignore[attr-defined]
    yield from vault_policies.configured._inner()  # type: ignore[attr-defined]


def converged(state: Path, *, recovering: bool = False, **changes: Any) -> int:
    """Vault's phase; the number of its last operation's changes."""
    with run(state, **changes) as host:
        for step in prepared():
            assert step.function(host.state, host) is True
        done = 0
        for step in commands(bucket_secrets.handed, recovering=recovering):
            assert isinstance(step, FunctionCommand)
            assert step.function(host.state, host) is True
            done += 1
    return done


def read(state: Path) -> dict[str, str]:
    with run(state):
        return dict(vault_values.values("backup"))


def hold(state: Path, held: Held = HELD) -> None:
    with run(state):
        kit.hold(held)


def test_a_plan_knows_that_they_will_be_written(bao: OpenBao, tmp_path: Path) -> None:
    hold(tmp_path)
    with run(tmp_path, executing=False):
        assert (len(commands(bucket_secrets.handed)), vault_values.wrote()) == (1, True)  # not set up yet
    converged(tmp_path)
    with run(tmp_path, executing=False):
        assert (commands(bucket_secrets.handed), vault_values.wrote()) == ([], False)
        vault_values.versioned("backup")[0].pop("S3_KEY")
        assert (len(commands(bucket_secrets.handed)), vault_values.wrote()) == (1, True)


def test_what_the_kit_gave_this_machine_is_in_vault_once(bao: OpenBao, tmp_path: Path) -> None:
    hold(tmp_path)
    assert converged(tmp_path) == 1
    first = read(tmp_path)
    assert {name: first[name] for name in vault_values.HELD} == {
        "S3_KEY": "AKIA",
        "S3_KEY_SECRET": "secret-key",
        "RESTIC_PASSWORD": "restic-word",
        "PGBACKREST_CIPHER": "cipher-word",
    }
    assert converged(tmp_path) == 0
    hold(tmp_path, Held("cd" * 32, "other", "other", "other", "other"))
    assert converged(tmp_path) == 0
    assert read(tmp_path) == first


def test_a_recovery_brings_the_kits_key_for_the_bucket_and_nothing_else(bao: OpenBao, tmp_path: Path) -> None:
    hold(tmp_path)
    converged(tmp_path)
    first = read(tmp_path)
    assert converged(tmp_path, recovering=True) == 0
    hold(tmp_path, Held("cd" * 32, "other", "other", "AKIANEW", "new-secret"))
    assert converged(tmp_path, recovering=True) == 1
    assert read(tmp_path) == {**first, "S3_KEY": "AKIANEW", "S3_KEY_SECRET": "new-secret"}
    assert converged(tmp_path, recovering=True) == 0


def test_its_role_takes_snapshots_and_reads_no_others_secrets(bao: OpenBao, tmp_path: Path) -> None:
    hold(tmp_path)
    converged(tmp_path)
    found = read(tmp_path)
    client = hvac.Client(url=bao.address)
    client.auth.approle.login(found["VAULT_ROLE_ID"], found["VAULT_SECRET_ID"])
    snapshot = client.sys.take_raft_snapshot()
    assert (snapshot.status_code, snapshot.content[:2]) == (200, b"\x1f\x8b")
    with pytest.raises(hvac.exceptions.Forbidden):
        client.secrets.kv.v2.read_secret_version("postgres", raise_on_deleted_version=True)


def test_each_service_knows_it_by_its_own_names_and_no_more(bao: OpenBao, tmp_path: Path) -> None:
    hold(tmp_path)
    converged(tmp_path)
    with run(tmp_path):
        vault_session.write("smarteros", {"DIGEST_KEY": "00" * 32}, 0)
        vault_session.write("postgres", {"POSTGRES_PASSWORD": "pg"}, 0)
        texts = {item.name: env_text(item) for item in services() if item.name in ("postgres", "backup")}
    names = {name: [line.split("=")[0] for line in text.splitlines()] for name, text in texts.items()}
    assert names == {
        "postgres": [
            "PGBACKREST_REPO1_CIPHER_PASS",
            "PGBACKREST_REPO1_S3_KEY",
            "PGBACKREST_REPO1_S3_KEY_SECRET",
            "POSTGRES_PASSWORD",
            "SMARTEROS_SECRETS_DIGEST",
        ],
        "backup": [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            # For drills, which read the log as well.
            "PGBACKREST_REPO1_CIPHER_PASS",
            "PGBACKREST_REPO1_S3_KEY",
            "PGBACKREST_REPO1_S3_KEY_SECRET",
            "RESTIC_PASSWORD",
            "SMARTEROS_SECRETS_DIGEST",
            "VAULT_ROLE_ID",
            "VAULT_SECRET_ID",
        ],
    }


def test_without_a_kit_nothing_begins(tmp_path: Path) -> None:
    with run(tmp_path):
        (said,) = vault_values.refusals()
        assert said.startswith("backup: neither Vault (secret/backup) nor ")
        assert "backup.json has what opens the bucket: `make bucket KIT=…`" in said
    with fake(RUNS):
        assert list(vault_values.refusals()) == []


def test_a_machine_without_the_kit_deploys_where_vault_has_it(bao: OpenBao, tmp_path: Path) -> None:
    hold(tmp_path)
    converged(tmp_path)
    with run(tmp_path):
        kit.file().unlink()
        assert list(vault_values.refusals()) == []
        assert commands(bucket_secrets.handed) == []


def test_a_run_that_finds_neither_stops_there(
    bao: OpenBao, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with run(tmp_path) as host:
        for step in prepared():
            assert step.function(host.state, host) is True
        (refusal,) = commands(bucket_secrets.handed)
        assert refusal.function(host.state, host) is False
        assert "neither Vault (secret/backup) nor" in caplog.text

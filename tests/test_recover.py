"""The phase that brings everything out of the bucket: only where it is asked for, onto a bare host, each part once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks import recover
from tasks.clients import kit
from tasks.clients.kit import Held
from tasks.facts import DockerFact, DockerState, MachineFact, RecoveringFact, VolumeState
from tests.fake import fake, stdin, texts

BACKUP = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}
HELD = Held("00" * 32, "restic-word", "pg-word", "KEY", "SECRET")
SCRIPT = "/opt/smarteros/current/restore/recover.sh"


@contextmanager
def host(*notes: str, docker: tuple[str, ...] = (), **changes: Any) -> Iterator[None]:
    """One on which these parts are noted. docker: lines of what is on it."""
    answers = {"ls /var/lib/smarteros/recover": list(notes), "docker ps -aq": list(docker)}
    with fake(answers, **{"backup": BACKUP, **changes}):
        yield


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """By make recover."""
    monkeypatch.setenv("SMARTEROS_RECOVER", "0")


def test_a_deploy_recovers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMARTEROS_RECOVER", raising=False)
    with host("begin", docker=("v|n8n_data|n8n",)):
        assert not recover.wanted()
        assert list(recover.refusals()) == []
        assert not recover.half_a_vault()


@pytest.mark.usefixtures("asked")
def test_a_part_that_is_done_is_not_done_again_and_without_a_beginning_there_is_none() -> None:
    with host("begin", "vault"):
        assert texts(recover.recovered, "files") == [f"bash {SCRIPT} files"]
    with host("begin", "vault", "files"):
        assert texts(recover.recovered, "files") == []
    with host():
        assert texts(recover.recovered, "files") == []
        assert texts(recover.begun) == [
            "mkdir -p /var/lib/smarteros/recover && touch /var/lib/smarteros/recover/begin"
        ]
    with host("begin"):
        assert texts(recover.begun) == []


@pytest.mark.usefixtures("asked")
def test_vault_is_brought_back_with_keys_that_stand_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with host("begin", state_dir=str(tmp_path)):
        kit.hold(HELD)
        keys, script = list(recover.vault())
        assert 'AWS_SECRET_ACCESS_KEY="SECRET"' in stdin(keys)  # type: ignore[arg-type]
        assert "SECRET" not in str(keys)
        assert str(script).endswith(f"bash {SCRIPT} vault")
    with host("begin", "vault.begun", "vault", state_dir=str(tmp_path)):
        assert list(recover.vault()) == []


@pytest.mark.usefixtures("asked")
def test_one_that_was_cut_short_in_vault_is_not_asked_for_its_keys() -> None:
    for notes, half in (
        (("begin",), False),
        (("begin", "vault.begun"), True),
        (("begin", "vault.begun", "vault"), False),
    ):
        with host(*notes):
            assert recover.half_a_vault() is half


@pytest.mark.usefixtures("asked")
def test_one_whose_end_was_cut_short_has_all_parts_whichever_notes_are_left() -> None:
    with host("end", "redis.begun", "vault.begun"):
        assert [texts(recover.recovered, part) for part in ("files", "redis", "postgres")] == [[], [], []]
        assert texts(recover.recovered, "end") == [f"bash {SCRIPT} end"]
        assert list(recover.vault()) == []
        assert not recover.half_a_vault()


def refusals(
    monkeypatch: pytest.MonkeyPatch, size: str, volumes: tuple[str, ...] = (), *notes: str
) -> list[str]:
    """Of a host with these volumes and 1000 MB of free disk."""
    monkeypatch.setenv("SMARTEROS_RECOVER", size)
    there = DockerState(volumes={name: VolumeState(name, "") for name in volumes})
    found = {
        RecoveringFact: frozenset(notes),
        DockerFact: there,
        MachineFact: SimpleNamespace(disk_free_mb=1000),
    }
    monkeypatch.setattr(recover, "known", found.__getitem__)
    with host():
        return list(recover.refusals())


def test_a_host_with_data_of_ours_is_refused_and_one_with_others_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [line] = refusals(monkeypatch, "0", ("n8n_data", "theirs"))
    assert line.startswith("recover: @fake/one holds data already (n8n_data): recover to a bare host")
    assert refusals(monkeypatch, "0", ("theirs",)) == []
    assert refusals(monkeypatch, "0", ("n8n_data",), "begin") == []


@pytest.mark.parametrize(
    ("notes", "prepared", "refused"),
    [
        (("begin", "vault", "files.begun"), "", True),
        (("begin", "vault", "files", "redis", "postgres"), "", False),
        (("end",), "", False),
        ((), "", False),
        (("begin",), "acme-backup", False),
    ],
)
def test_a_deploy_to_a_host_that_is_half_recovered_is_refused(
    monkeypatch: pytest.MonkeyPatch, notes: tuple[str, ...], prepared: str, *, refused: bool
) -> None:
    monkeypatch.delenv("SMARTEROS_RECOVER", raising=False)
    found = {
        RecoveringFact: frozenset(notes),
        MachineFact: SimpleNamespace(deployed=True, backup=prepared),
    }
    monkeypatch.setattr(recover, "known", found.__getitem__)
    with host():
        lines = list(recover.refusals())
    said = "recover: a recovery of @fake/one was cut short: end it first, by the same command as then "
    assert [line.partition("(")[0] for line in lines] == [said] * refused


def test_too_little_disk_is_refused_before_anything_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusals(monkeypatch, str(769 << 20)) == []
    assert refusals(monkeypatch, str(771 << 20)) == [
        "recover: too little disk: the databases take 1002 MB, and 1000 MB are free"
    ]

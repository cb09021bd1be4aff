"""The phase that brings everything out of the bucket: only where it is asked for, onto a bare host, each part once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks import recover
from tasks.clients import kit
from tasks.clients.kit import Held
from tasks.facts import DockerFact, DockerState, MachineFact, RecoveringFact, VolumeState
from tasks.run import Refused
from tests.fake import fake, stdin, texts

BACKUP = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}
HELD = Held("00" * 32, "restic-word", "pg-word", "KEY", "SECRET")
SCRIPT = "/opt/smarteros/current/restore/recover.sh"


SNAPSHOTS = [
    {"id": f"{service}{hour}", "time": f"2026-11-26T{hour}:00:00Z", "tags": [f"service={service}"], "summary": {"total_bytes_processed": 1000}}
    for service in ("caddy", "dokploy", "n8n", "odoo", "redis", "vault")
    for hour in (10, 12, 14)
    if (service, hour) not in (("n8n", 10), ("dokploy", 10), ("dokploy", 12), ("dokploy", 14))
]  # fmt: skip


def choice(to: str = "", size: int = 0) -> str:
    return json.dumps({"to": to, "label": "1F_2I", "line": 2, "size": size})


@contextmanager
def host(*notes: str, docker: tuple[str, ...] = (), **changes: Any) -> Iterator[None]:
    """One on which these parts are noted. docker: lines of what is on it."""
    answers = {
        "ls /var/lib/smarteros/recover": list(notes),
        "docker ps -aq": list(docker),
        f"{SCRIPT} list": [json.dumps(SNAPSHOTS)],
    }
    with fake(answers, **{"backup": BACKUP, **changes}):
        yield


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """By make recover, after all that is in the bucket."""
    monkeypatch.setenv("SMARTEROS_RECOVER", choice())
    monkeypatch.setattr("time.time", lambda: datetime(2026, 11, 28, tzinfo=UTC).timestamp())


def test_a_deploy_recovers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMARTEROS_RECOVER", raising=False)
    with host("begin", docker=("v|n8n_data|n8n",)):
        assert not recover.wanted()
        assert list(recover.refusals()) == []
        assert not recover.half_a_vault()


def told(part: str) -> str:
    """How recover.sh is called for it."""
    [line] = texts(recover.recovered, part)
    return line.removeprefix(f"bash {SCRIPT} {part}").strip()


@pytest.mark.usefixtures("asked")
def test_a_part_that_is_done_is_not_done_again_and_without_a_beginning_there_is_none() -> None:
    with host("begin", "vault"):
        assert told("files") == "3000 chatwoot:: botpress:: n8n:n8n14: odoo:odoo14: dokploy:: caddy:caddy14:"
        assert told("redis") == "redis14"
        assert told("postgres") == "--set=1F_2I"
    with host("begin", "vault", "files"):
        assert texts(recover.recovered, "files") == []
    with host():
        assert texts(recover.recovered, "files") == []
        [begins] = texts(recover.begun)
        notes = "/var/lib/smarteros/recover"
        # Empty after a loss of power it would be one to the newest.
        written = f"echo '' >{notes}/.begin && sync {notes}/.begin"
        assert begins == f"mkdir -p {notes} && {written} && mv {notes}/.begin {notes}/begin"
    with host("begin"):
        assert texts(recover.begun) == []


@pytest.mark.usefixtures("asked")
def test_what_was_sent_under_a_clock_that_was_ahead_is_not_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.time", lambda: datetime(2026, 11, 26, 13, tzinfo=UTC).timestamp())
    with host("begin", "vault"):
        assert told("redis") == "redis12"
        assert " odoo:odoo12:odoo14 " in told("files")


THEN = "2026-11-26 11:00:00.000000+00"


def test_to_a_time_comes_what_was_there_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTEROS_RECOVER", choice(THEN))
    with host("begin", "vault", f"to {THEN}"):
        assert (
            told("files")
            == "3000 chatwoot:: botpress:: n8n::n8n12 odoo:odoo10:odoo12 dokploy:: caddy:caddy10:caddy12"
        )
        assert told("redis") == "redis10"
        assert told("postgres") == (
            f"--set=1F_2I --type=time '--target={THEN}' --target-action=promote --target-timeline=2"
        )
    with host():
        assert f"echo '{THEN}' >" in texts(recover.begun)[0]
    monkeypatch.setenv("SMARTEROS_RECOVER", choice("2026-11-26 09:00:00.000000+00"))
    with host("begin", "vault"):
        assert told("redis") == ""


def test_what_is_missing_and_what_is_left_to_do_is_said_when_all_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/pyinfra", "-y", "inventories/recovered.py", "deploy.py"])
    monkeypatch.setenv("SMARTEROS_RECOVER", choice(THEN))
    said: list[str] = []
    notes = {"cat /var/lib/smarteros/restore/recover.": ["files of n8n_data: 2", "MISSING: 1 of the 2 files"]}
    answers = {"ls /var/lib/smarteros/recover": ["begin"], **notes}
    with fake(answers, backup=BACKUP, ssh_hostname="203.0.113.7") as target:
        monkeypatch.setattr(target, "log", lambda text, **_: said.append(text))
        monkeypatch.setattr(
            target, "log_styled", lambda text, log_func, **_: said.append(f"{log_func.__name__}: {text}")
        )
        assert told("end") == ""
    assert said == [
        f"everything is as it was at {THEN}, but for Vault, which is as its newest snapshot has it",
        "recovered: files of n8n_data: 2",
        "warning: recovered: MISSING: 1 of the 2 files",
        "next: let the domains lead to 203.0.113.7, and the old host never start again: two would write into one bucket",
        (
            "next: `make deploy INVENTORY=inventories/recovered.py` is this host's from now on, until an inventory of yours has its settings; "
            "`make kit-check KIT=… INVENTORY=inventories/recovered.py` proves each copy of the kit that you keep"
        ),
    ]


@pytest.mark.usefixtures("asked")
def test_vault_is_brought_back_with_keys_that_stand_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with host("begin", state_dir=str(tmp_path)):
        kit.hold(HELD)
        keys, _, script = list(recover.vault())
        assert 'AWS_SECRET_ACCESS_KEY="SECRET"' in stdin(keys)  # type: ignore[arg-type]
        assert "SECRET" not in str(keys)
        assert str(script) == f"bash {SCRIPT} vault vault14"
    assert "Vault comes back as of 2026-11-26 14:00:00Z" in caplog.text
    with host("begin", "vault.begun", "vault", state_dir=str(tmp_path)):
        assert list(recover.vault()) == []
    # The same in a bucket that another host has sent to whose clock was ahead, and in one that has none.
    monkeypatch.setattr("time.time", lambda: datetime(2026, 11, 26, 13, tzinfo=UTC).timestamp())
    with host("begin", state_dir=str(tmp_path)):
        assert str([*recover.vault()][-1]) == f"bash {SCRIPT} vault vault12"
    monkeypatch.setattr("time.time", lambda: datetime(2026, 11, 26, 9, tzinfo=UTC).timestamp())
    with host("begin", state_dir=str(tmp_path)), pytest.raises(Refused, match="has no snapshot of Vault"):
        list(recover.vault())


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
    monkeypatch: pytest.MonkeyPatch, given: str, volumes: tuple[str, ...] = (), *notes: str
) -> list[str]:
    """Of a host with these volumes and 1000 MB of free disk."""
    monkeypatch.setenv("SMARTEROS_RECOVER", given)
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
    [line] = refusals(monkeypatch, choice(), ("n8n_data", "theirs"))
    assert line.startswith("recover: @fake/one holds data already (n8n_data): recover to a bare host")
    assert refusals(monkeypatch, choice(), ("theirs",)) == []
    assert refusals(monkeypatch, choice(), ("n8n_data",), "begin") == []


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
    assert refusals(monkeypatch, choice(size=769 << 20)) == []
    assert refusals(monkeypatch, choice(size=771 << 20)) == [
        "recover: too little disk: the databases take 1002 MB, and 1000 MB are free"
    ]


def test_one_that_was_cut_short_goes_on_to_the_same_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusals(monkeypatch, choice(THEN), ("n8n_data",), "begin", f"to {THEN}") == []
    assert refusals(monkeypatch, choice(THEN), ("n8n_data",), "end") == []
    assert refusals(monkeypatch, choice(), (), "begin", f"to {THEN}") == [
        f"recover: a recovery to {THEN} was cut short: end that first, with TO='{THEN}'"
    ]
    assert refusals(monkeypatch, choice(THEN), (), "begin") == [
        "recover: a recovery to the newest was cut short: end that first, without TO"
    ]

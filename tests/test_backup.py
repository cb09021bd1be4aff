"""The phase: timers, the repositories once for each bucket, a snapshot of what the run wrote; and what is said without one."""

from typing import Any

import pytest

from tasks import backup
from tasks.clients import vault_session, vault_values
from tasks.facts import MachineFact
from tasks.rendering import render
from tasks.run import recall, remember
from tests.facts.test_facts import MACHINE
from tests.fake import fake, texts
from tests.samples import stack

BACKUP = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}


def run(*lines: str, **changes: Any) -> Any:
    return fake({"/etc/os-release": [*MACHINE, *lines]}, **changes)


@pytest.fixture
def note() -> str:
    return f"backup {render.bucket(stack(backup=BACKUP))}"


def test_the_repositories_are_prepared_once(note: str) -> None:
    assert MachineFact().process([*MACHINE, note]).backup == note.split()[1]
    with run(backup=BACKUP):
        (shell,) = texts(backup.prepared)
        assert shell.endswith("sh /opt/smarteros/current/backup/prepare.sh")
        assert "until docker image inspect smarteros/postgres:" in shell
    with run(note, backup=BACKUP):
        assert texts(backup.prepared) == []
    with run(note, backup={**BACKUP, "bucket": "another"}):
        assert len(texts(backup.prepared)) == 1


def test_a_run_that_wrote_a_secret_has_it_copied_away(note: str) -> None:
    with run(note, backup=BACKUP):
        assert texts(backup.snapshot) == []
        recall("wrote")
        remember("wrote", lambda: True)
        assert vault_session.wrote()
        [text] = texts(backup.snapshot)
        assert text.startswith("unit=smarteros-backup-vault.service;")
        assert text.endswith("systemctl start --no-block $unit")


def test_a_plan_of_a_run_that_will_write_a_secret_has_the_copy_too(note: str) -> None:
    with run(note, backup=BACKUP, executing=False):
        assert texts(backup.snapshot) == []
        vault_values.writing()
        assert len(texts(backup.snapshot)) == 1
    with run(note, backup=BACKUP):
        vault_values.writing()  # as the plan before has said it
        assert texts(backup.snapshot) == []


def test_without_the_setting_each_run_says_so_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with run():
        assert texts(backup.stopped) == []
        assert caplog.text.count("nothing is backed up: the setting backup names a bucket") == 1


def test_timers_of_an_earlier_setting_go_and_nobody_elses() -> None:
    units = [
        f"unit {name} {'0' * 64} 644 root:root"
        for name in (
            "smarteros-backup-files.timer",
            "smarteros-backup-files.service",
            "smarteros-backup.timer",
        )
    ]
    with run(*units):
        (shell,) = texts(backup.stopped)
        assert "systemctl disable --quiet --now smarteros-backup-files.timer " in shell
        assert (
            "rm -f /etc/systemd/system/smarteros-backup-files.service "
            "/etc/systemd/system/smarteros-backup-files.timer\n"
        ) in shell
        assert "smarteros-backup.timer" not in shell

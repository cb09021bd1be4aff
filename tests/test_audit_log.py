"""The audit log: every run leaves one line on the host, however it ended."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.run_lock import ANN, RunLock


@pytest.fixture
def host(tmp_path: Path) -> RunLock:
    return RunLock(tmp_path)


def line(result: str, at: str | None = None, *changed: str) -> dict[str, Any]:
    """What the log says of a run of Ann's."""
    who = {
        "operator": "ann@laptop",
        "login": "deploy",
        "command": "rotate",
        "about": "n8n",
        "generation": "6f3a90c2",
    }
    return {**who, "result": result, "at": at, "changed": list(changed), "kept": []}


def test_a_run_leaves_who_when_which_generation_what_changed_and_the_result(host: RunLock) -> None:
    run = host.begin()
    assert run.hear() == "held"
    told = 'at "Data | Redis"\nchange "Data | Redis"\nchange "Data | Redis"\nat "Verify | all"\n'
    assert run.end(f'{told}change "Proxy | Caddy\'s"\nend ok\n') == []
    assert host.lines() == [line("ok", None, "Data | Redis", "Proxy | Caddy's")]
    found = json.loads(host.log.read_text())
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["started"])
    assert 0 <= found["seconds"] < 10


def test_a_run_leaves_which_files_of_the_hosts_it_has_kept(host: RunLock) -> None:
    run = host.begin()
    assert run.hear() == "held"
    with (host.log.parent / ".unfinished").open("a") as file:
        file.write('kept "/etc/issue"\nkept "/etc/login.defs"\n')  # by files/keep.sh
    run.end("end ok\n")
    assert host.lines() == [{**line("ok"), "kept": ["/etc/issue", "/etc/login.defs"]}]


def test_a_run_without_changes_leaves_its_line_too(host: RunLock) -> None:
    for _ in range(2):
        run = host.begin()
        assert run.hear() == "held"
        assert run.end("end ok\n") == []
    assert host.lines() == [line("ok"), line("ok")]


def test_a_failed_run_says_where(host: RunLock) -> None:
    run = host.begin()
    run.end('at "Data | Redis"\nchange "Data | Redis"\nat "Services | Odoo ERP"\nend failed\n')
    assert host.lines() == [line("failed", "Services | Odoo ERP", "Data | Redis")]


def test_a_run_that_was_killed_is_interrupted(host: RunLock) -> None:
    host.begin().end('at "Data | Redis"\nchange "Data | Redis"\n')
    assert host.lines() == [line("interrupted", "Data | Redis", "Data | Redis")]


def test_a_run_that_ended_with_the_hosts_power_is_written_by_the_next_one(host: RunLock) -> None:
    lost = host.begin()
    assert lost.hear() == "held"
    lost.say('at "Data | Redis"\nchange "Data | Redis"\n')
    while "change" not in (host.log.parent / ".unfinished").read_text():
        assert lost.process.poll() is None
    lost.process.kill()
    lost.process.communicate()
    with (host.log.parent / ".unfinished").open("a") as file:
        file.write('change "Prox')  # the last word that reached the disk
    assert host.lines() == []
    host.begin('operator "bob@desk"\nlogin "root"\nfrom ""\ncommand "rotate"\nabout "n8n"\n').end("end ok\n")
    bob = {**line("ok"), "operator": "bob@desk", "login": "root"}
    assert host.lines() == [line("interrupted", "Data | Redis", "Data | Redis"), bob]


def test_a_run_that_cannot_be_noted_does_not_begin(host: RunLock) -> None:
    run = host.begin(**{'"$about" 2>/dev/null >"$run"': '"$about" 2>/dev/null >/dev/full'})
    assert re.fullmatch(rf"full \d+ {host.log.parent}", run.hear())
    assert run.end() == []


def test_names_are_written_as_they_are(host: RunLock) -> None:
    names = ['o"x\\y@z', "d\\e", 'a "quoted" | ünï\ncode']
    operator, login, operation = map(json.dumps, names)
    host.begin(f"operator {operator}\nlogin {login}\n").end(
        f"at {operation}\nchange {operation}\nend failed\n"
    )
    (found,) = host.lines()
    assert [found["operator"], found["login"], found["at"]] == names
    assert found["changed"] == names[2:]


def test_the_log_is_for_administrators_only(host: RunLock) -> None:
    host.log.parent.mkdir()
    host.log.touch(0o666)
    host.begin().end("end ok\n")
    states = {
        path.name: f"{path.stat().st_mode & 0o7777:o} {path.owner()}:{path.group()}" for path in _both(host)
    }
    assert states == {"log": "750 root:adm", "runs.log": "640 root:adm"}


def _both(host: RunLock) -> tuple[Path, Path]:
    return host.log.parent, host.log


def test_the_log_stays_small(host: RunLock) -> None:
    host.begin().end("end ok\n")
    host.log.write_text("{}\n" * 333_400)
    host.begin().end("end ok\n")
    assert host.lines() == [line("ok")]
    assert (host.log.parent / "runs.log.1").stat().st_size == 1_000_200
    host.begin(ANN).end("end ok\n")
    assert host.lines() == [line("ok"), line("ok")]

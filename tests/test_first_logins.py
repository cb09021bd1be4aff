"""First logins: what is written and when, run for real below a folder, and the units that remove it."""

import hashlib
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tasks import first_logins
from tasks.facts import MachineFact
from tasks.operations.units import units
from tasks.run import remember, services
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake, stdin
from tests.samples import ROOT

SERVICES = ["vault", "postgres", "redis", "chatwoot", "n8n"]
SECRETS = {
    "chatwoot": {"ADMIN_PASSWORD": "Aa1!chatwoot-password"},
    "n8n": {"N8N_OWNER_PASSWORD": "n8n-password $HOME `id` \\n 🔑"},
}
CHATWOOT = """
Chatwoot CRM
  URL       https://crm.smarterbot.cl/
  login     ops@smarterbot.cl
  password  Aa1!chatwoot-password
  in Vault  secret/chatwoot, ADMIN_PASSWORD
"""
N8N = """
n8n Workflows
  URL       https://n8n.smarterbot.cl/
  login     ops@smarterbot.cl
  password  n8n-password $HOME `id` \\n 🔑
  in Vault  secret/n8n, N8N_OWNER_PASSWORD
"""
HEAD = "First logins of SmarterOS on @fake/one. Shown once; the passwords stay in Vault.\n"
UNITS = {
    name: (ROOT / "files" / "units" / name).read_text()
    for name in ("smarteros-first-logins.service", "smarteros-first-logins.timer")
}


@contextmanager
def host(*lines: str, **options: Any) -> Iterator[None]:
    """A host whose MachineFact has these lines too, in a run that has read the passwords."""
    with fake({"/etc/os-release": [*MACHINE, *lines]}, services=SERVICES, **options):
        for path, values in SECRETS.items():
            remember(("secrets", path), partial(tuple, (values, 1)))
        yield


def handed(*lines: str, **options: Any) -> list[Any]:
    """What the operation yields on such a host."""
    with host(*lines, **options):
        return commands(first_logins.handed_out)


def perform(folder: Path, command: Any, *, standard_input: str | None = None) -> int:
    """Runs a command of ours for real, with ``folder`` for /, and returns its exit code."""
    for name in ("root", "opt/smarteros"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    text = (
        str(command).replace("/root", f"{folder}/root").replace("/opt/smarteros", f"{folder}/opt/smarteros")
    )
    given = stdin(command) if standard_input is None else standard_input
    return subprocess.run(["sh", "-c", text], input=given, text=True, check=False).returncode


def written(folder: Path) -> dict[str, str]:
    """Everything below root, hidden files too."""
    return {path.name: path.read_text() for path in (folder / "root").iterdir()}


def test_all_logins_are_written_once_for_root_alone_and_noted(tmp_path: Path) -> None:
    [command] = handed()
    assert perform(tmp_path, command) == 0
    [(name, text)] = written(tmp_path).items()
    assert name == f"GENERATED-SECRETS-{time.strftime('%Y-%m-%d')}.txt"
    assert text == HEAD + CHATWOOT + N8N
    status = (tmp_path / "root" / name).stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert time.time() - status.st_mtime < 60  # its 24 hours begin now
    assert (tmp_path / "opt/smarteros/handed-out").read_text() == "chatwoot\nn8n\n"


def test_no_password_is_in_the_command_line() -> None:
    [command] = handed()
    assert [value for values in SECRETS.values() for value in values.values() if value in str(command)] == []


def test_what_was_handed_out_is_never_written_again() -> None:
    assert handed("handed_out chatwoot", "handed_out n8n") == []


def test_a_service_that_is_new_is_handed_out_alone_beside_a_file_of_the_same_day(tmp_path: Path) -> None:
    assert perform(tmp_path, handed("handed_out n8n")[0]) == 0
    assert perform(tmp_path, handed("handed_out chatwoot")[0]) == 0
    name = f"GENERATED-SECRETS-{time.strftime('%Y-%m-%d')}"
    assert written(tmp_path) == {f"{name}.txt": HEAD + CHATWOOT, f"{name}+.txt": HEAD + N8N}
    assert (tmp_path / "opt/smarteros/handed-out").read_text() == "chatwoot\nn8n\n"


def test_a_cut_transfer_writes_and_notes_nothing(tmp_path: Path) -> None:
    [command] = handed()
    whole = stdin(command)
    for length in (0, len(whole) // 2, len(whole) - 8):
        assert perform(tmp_path, command, standard_input=whole[:length]) != 0
        assert [name for name in written(tmp_path) if not name.startswith(".")] == []
        assert not (tmp_path / "opt/smarteros/handed-out").exists()
    assert perform(tmp_path, command) == 0
    assert list(written(tmp_path).values()) == [HEAD + CHATWOOT + N8N]


def test_planning_says_that_something_will_be_written_and_reads_no_password() -> None:
    with fake({"/etc/os-release": MACHINE}, executing=False, services=SERVICES):
        assert commands(first_logins.handed_out) == ["true"]


def test_a_stack_without_logins_writes_nothing() -> None:
    with fake({"/etc/os-release": MACHINE}, services=["vault", "postgres"]):
        assert commands(first_logins.handed_out) == []


STATE = [
    f"unit {name} {hashlib.sha256(text.encode()).hexdigest()} 644 root:root" for name, text in UNITS.items()
]
TIMER = "timer smarteros-first-logins.timer"


def test_units_as_they_should_be_are_left_alone() -> None:
    with host(*STATE, TIMER):
        assert commands(units, UNITS) == []


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [*STATE],
        [STATE[0], TIMER],
        [STATE[0].replace("644", "666"), STATE[1], TIMER],
        [STATE[0].replace("root:root", "user:user"), STATE[1], TIMER],
        [STATE[0], f"unit smarteros-first-logins.timer {'0' * 64} 644 root:root", TIMER],
    ],
    ids=["nothing", "not enabled or not active", "one missing", "writable", "somebody's", "edited"],
)
def test_units_that_differ_are_written_loaded_and_enabled_in_one_command(
    lines: list[str], tmp_path: Path
) -> None:
    with host(*lines):
        [command] = commands(units, UNITS)
    systemd, log = tmp_path / "systemd", tmp_path / "log"
    systemd.mkdir()
    (systemd / "smarteros-first-logins.timer").write_text("old")
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$* $(cat {systemd}/*.timer | wc -l)" >> {log}\n')
    systemctl.chmod(0o755)
    text = str(command).replace("/etc/systemd/system", str(systemd)).replace("/var/lib", f"{tmp_path}/lib")
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", text], input=stdin(command), text=True, check=True, env=path)
    assert {path.name: path.read_text() for path in systemd.iterdir()} == UNITS
    assert {stat.S_IMODE(path.stat().st_mode) for path in systemd.iterdir()} == {0o644}
    lines_of_timer = len(UNITS["smarteros-first-logins.timer"].splitlines())
    assert log.read_text().splitlines() == [
        "disable --quiet smarteros-first-logins.timer 0",
        f"daemon-reload {lines_of_timer}",
        f"enable --quiet --now smarteros-first-logins.timer {lines_of_timer}",
    ]


# One of several is active: each has its line, and the exit code is that of a failure.
SYSTEMCTL = """#!/bin/sh
[ "$1" = is-active ] || exit 0
shift
for unit; do if [ "$unit" = smarteros-first-logins.timer ]; then echo active; else echo inactive; fi; done
exit 3
"""


def test_the_machine_says_which_units_timers_and_handed_out_logins_it_has(tmp_path: Path) -> None:
    systemd = tmp_path / "etc/systemd/system"
    (systemd / "timers.target.wants").mkdir(parents=True)
    (tmp_path / "opt/smarteros").mkdir(parents=True)
    (tmp_path / "opt/smarteros/handed-out").write_text("chatwoot\nn8n\n")
    for name, text in {**UNITS, "other.service": "x"}.items():
        (systemd / name).write_text(text)
        (systemd / name).chmod(0o640 if name.endswith(".service") else 0o644)
    for timer in ("smarteros-first-logins.timer", "smarteros-stopped.timer"):
        (systemd / "timers.target.wants" / timer).symlink_to(systemd / "smarteros-first-logins.timer")
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    text = MachineFact().command().replace("/etc/systemd", f"{tmp_path}/etc/systemd")
    text = text.replace("/opt/smarteros", f"{tmp_path}/opt/smarteros")
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True, env=path)
    found = MachineFact().process(done.stdout.splitlines())
    owner = f"{systemd.owner()}:{systemd.group()}"
    service, timer = (line.replace("root:root", owner) for line in STATE)
    assert found.units == dict(
        line.removeprefix("unit ").split(" ", 1) for line in (service.replace("644", "640"), timer)
    )
    assert found.timers == ("smarteros-first-logins.timer",)
    assert found.handed_out == ("chatwoot", "n8n")


def test_the_unit_removes_first_logins_after_24_hours_and_nothing_else(tmp_path: Path) -> None:
    [line] = [line for line in UNITS["smarteros-first-logins.service"].splitlines() if "ExecStart" in line]
    words = line.removeprefix("ExecStart=").replace("/root", str(tmp_path)).replace("\\;", ";").split()
    day = 24 * 60 * 60
    ages = {
        "GENERATED-SECRETS-2025-11-22.txt": day + 120,
        "GENERATED-SECRETS-2025-11-22+.txt": day + 120,
        ".GENERATED-SECRETS-partial": day + 120,
        "GENERATED-SECRETS-2025-11-23.txt": day - 120,
        "GENERATED-SECRETS-2025-11-22.txt.kept": day + 120,
        "notes.txt": day + 120,
    }
    theirs = tmp_path / "GENERATED-SECRETS-2024-01-01.txt"
    theirs.write_text("POSTGRES_PASSWORD=x\n")
    os.utime(theirs, (time.time() - 2 * day,) * 2)
    (tmp_path / "folder").mkdir()
    for name, age in {**ages, "folder/GENERATED-SECRETS-2025-11-22.txt": day * 2}.items():
        (tmp_path / name).write_text(HEAD)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    subprocess.run(words, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        theirs.name,
        "GENERATED-SECRETS-2025-11-22.txt.kept",
        "GENERATED-SECRETS-2025-11-23.txt",
        "folder",
        "notes.txt",
    ]
    assert (tmp_path / "folder" / "GENERATED-SECRETS-2025-11-22.txt").exists()


def test_what_nobody_has_read_gets_the_new_passwords_and_no_more_time(tmp_path: Path) -> None:
    assert perform(tmp_path, handed()[0]) == 0
    root = tmp_path / "root"
    [file] = root.iterdir()
    theirs = root / "GENERATED-SECRETS-2024-01-01.txt"
    theirs.write_text("Chatwoot CRM\n  password  x\n")
    began = time.time() - 3600
    os.utime(file, (began, began))
    new = "Aa1!new & \\1 \\n $HOME `id` '%s'"
    with fake({}, services=SERVICES):
        remember(("secrets", "chatwoot"), partial(tuple, ({"ADMIN_PASSWORD": new}, 2)))
        chatwoot = next(item for item in services() if item.name == "chatwoot")
        [command] = commands(first_logins.renewed, [chatwoot])
    assert new not in str(command)
    assert perform(tmp_path, command) == 0
    assert file.read_text() == HEAD + CHATWOOT.replace("Aa1!chatwoot-password", new) + N8N
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert abs(file.stat().st_mtime - began) < 1
    assert {path.name for path in root.iterdir()} == {file.name, theirs.name}
    assert theirs.read_text() == "Chatwoot CRM\n  password  x\n"


def test_where_all_were_read_nothing_is_written_again(tmp_path: Path) -> None:
    with host():
        chatwoot = next(item for item in services() if item.name == "chatwoot")
        assert perform(tmp_path, commands(first_logins.renewed, [chatwoot])[0]) == 0
    assert written(tmp_path) == {}


def test_a_password_of_several_lines_is_left_out() -> None:
    with fake({}, services=SERVICES):
        remember(("secrets", "chatwoot"), partial(tuple, ({"ADMIN_PASSWORD": "a\nb"}, 2)))
        assert (
            commands(
                first_logins.renewed, [item for item in services() if item.name in ("chatwoot", "redis")]
            )
            == []
        )

"""Swap: how much of it ours has to be, and the shell that makes it, for real below a folder with programs that only pretend."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.facts import Machine, MachineFact
from tasks.facts.swap import FILE, UNIT, Swap
from tasks.operations import swap
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake, texts

LARGE = [line.replace("8119412", "24000000") for line in MACHINE[:9]]
SMALL = [line.replace("8119412", "4000000") for line in MACHINE[:9]]
OURS = [f"swap 2048 {FILE}", "swap_enabled yes"]


def test_what_a_host_has_is_read() -> None:
    lines = [
        "swap 976 /dev/sda2",
        f"swap 1024 {FILE}",
        "swap_enabled yes",
        "swap_left 2048 it is a container",
    ]
    found = MachineFact().process([*MACHINE, *lines]).swap
    assert found == Swap({"/dev/sda2": 976, FILE: 1024}, enabled=True, left=(2048, "it is a container"))
    assert found.others == 976
    assert MachineFact().process(MACHINE).swap == Swap()


@pytest.mark.parametrize(
    ("setting", "memory_mb", "active", "wanted"),
    [
        (None, 3900, {}, 2048),
        (None, 7499, {}, 2048),
        (None, 7600, {}, 0),
        (0, 3900, {}, 0),
        (4, 7600, {}, 4096),
        (None, 3900, {"/dev/sda2": 976}, 1072),
        (None, 3900, {"/dev/zram0": 1800}, 0),
        (None, 3900, {"/dev/sda2": 4096}, 0),
        (None, 3900, {FILE: 2048}, 2048),
    ],
)
def test_the_hosts_own_swap_counts(
    setting: int | None, memory_mb: int, active: dict[str, int], wanted: int
) -> None:
    machine = Machine(memory_mb=memory_mb, swap=Swap(active))
    assert swap.wanted_mb(setting, machine) == wanted


@pytest.mark.parametrize(
    ("lines", "settings", "does"),
    [
        (LARGE, {}, []),
        (SMALL, {}, [swap.made(2048)]),
        ([*SMALL, *OURS], {}, []),
        ([*SMALL, OURS[0]], {}, [swap.made(2048)]),
        ([*SMALL, *OURS], {"swap_gb": 4}, [swap.made(4096)]),
        ([*SMALL, *OURS], {"swap_gb": 0}, [swap._GONE]),
        ([*LARGE, *OURS], {}, [swap._GONE]),
        ([*SMALL, "swap_left 2048 no room"], {}, []),
        ([*SMALL, "swap_left 2048 no room"], {"swap_gb": 1}, [swap.made(1024)]),
    ],
)
def test_a_run_does_what_is_missing(lines: list[str], settings: dict[str, Any], does: list[str]) -> None:
    with fake({"/etc/os-release": lines}, **settings):
        assert texts(swap.swapped) == does


def test_a_host_that_cannot_have_it_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with fake({"/etc/os-release": [*SMALL, "swap_left 2048 it is a container"]}) as host:
        monkeypatch.setattr(host, "log", said.append)
        monkeypatch.setattr(swap, "executing", lambda: True)
        assert commands(swap.swapped) == []
    assert said == ["host: 2048 MB of swap are wanted (swap_gb), and there are none: it is a container"]


def ran(tmp_path: Path, script: str, **programs: str) -> list[str]:
    """The script below the folder, with programs that say what they were asked for."""
    called = tmp_path / "called"
    called.write_text("")
    (tmp_path / "bin").mkdir(exist_ok=True)
    pretended = {
        "systemd-detect-virt": "exit 1",
        "findmnt": "echo ext4",
        "systemctl": "",
        "mkswap": "",
        **programs,
    }
    for name, body in {"swapoff": "", "chattr": "", **pretended}.items():
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{called}\n{body}\n')
        program.chmod(0o755)
    for folder in ("etc/systemd/system", "var/lib/smarteros", "opt/smarteros"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for path in ("/etc/systemd", "/var/lib/smarteros", "/opt/smarteros"):
        script = script.replace(path, f"{tmp_path}{path}")
    done = subprocess.run(
        ["sh", "-c", script],
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    asked = [line.replace(str(tmp_path), "") for line in called.read_text().splitlines()]
    return [line for line in asked if not line.startswith(("systemd-detect-virt", "findmnt"))]


NAME = UNIT.rpartition("/")[2]
BEGUN = [f"systemctl disable --quiet --now {NAME}", "systemctl daemon-reload"]


def test_the_file_is_made_private_and_stays_so(tmp_path: Path) -> None:
    asked = ran(tmp_path, swap.made(1))
    assert asked == [
        *BEGUN,
        f"mkswap {FILE}",
        "systemctl daemon-reload",
        f"systemctl enable --quiet --now {NAME}",
    ]
    file, unit = tmp_path / FILE[1:], tmp_path / UNIT[1:]
    assert (file.stat().st_size, oct(file.stat().st_mode)[-3:]) == (2**20, "600")
    assert file.stat().st_blocks * 512 >= 2**20  # no holes
    assert (f"What={tmp_path}{FILE}" in unit.read_text().splitlines(), oct(unit.stat().st_mode)[-3:]) == (
        True,
        "644",
    )
    assert not (tmp_path / "opt/smarteros/swap-left").exists()
    assert ran(tmp_path, swap._GONE) == BEGUN
    assert (file.exists(), unit.exists()) == (False, False)


@pytest.mark.parametrize(
    ("programs", "why"),
    [
        ({"systemd-detect-virt": "exit 0"}, "it is a container, whose swap is its machine's"),
        ({"findmnt": "echo zfs"}, "/var/lib is on zfs, which holds no swap"),
        ({"df": r"printf 'a\n/dev/x 1 1 1024000 1 /\n'"}, "1000 MB are free below /var/lib"),
        ({"dd": "exit 1"}, "the file cannot be written"),
        ({"systemctl": '[ "$1" != enable ]'}, f"the kernel does not take it (journalctl -u {NAME})"),
    ],
)
def test_a_host_that_cannot_goes_on_and_keeps_the_reason(
    tmp_path: Path, programs: dict[str, str], why: str
) -> None:
    ran(tmp_path, swap.made(1), **programs)
    assert (tmp_path / "opt/smarteros/swap-left").read_text() == f"1 {why}\n"
    assert not (tmp_path / FILE[1:]).exists()
    assert not (tmp_path / UNIT[1:]).exists()


def test_btrfs_makes_no_copies_of_what_is_written_there(tmp_path: Path) -> None:
    assert f"chattr +C {FILE}" in ran(tmp_path, swap.made(1), findmnt="echo btrfs")


def test_swap_that_was_asked_for_and_has_no_room_is_refused_before_anything_is_done() -> None:
    machine = MachineFact().process(SMALL)
    free = machine.disk_free_mb
    most = (free - 2048) // 1024
    assert list(swap.problems(most, machine)) == []
    (line,) = swap.problems(most + 1, machine)
    assert line.startswith(
        f"swap_gb: {most + 1} needs {(most + 1) * 1024 + 2048} MB below /var/lib/smarteros"
    )
    # The default is made where it can be, and a file that is there already needs no room.
    full = replace(machine, disk_free_mb=10)
    assert list(swap.problems(None, full)) == list(swap.problems(0, full)) == []
    assert list(swap.problems(2, replace(full, swap=Swap({FILE: 2048}, enabled=True)))) == []
    assert len(list(swap.problems(4, replace(full, swap=Swap({FILE: 2048}, enabled=True))))) == 1

"""Rooms: which file systems are told of, from a df that says so."""

import os
import subprocess
from pathlib import Path

import pytest

from tasks.facts import Room, rooms

USUAL = [Room("/", 70132, 41, 6)]


@pytest.mark.parametrize(
    ("small", "found"),
    [
        ("/tmp 512000 50% 12%\n/run 9000 94% 94%", []),
        ("/tmp 0 100% 1%\n/run 4000 96% -", [Room("/tmp", 0, 100, 1), Room("/run", 3, 96, 0)]),
        ("/ 71815464 99% 99%\n/run 90000 2% 100%", [Room("/run", 87, 2, 100)]),
    ],
)
def test_of_what_is_small_only_what_is_full_is_told(tmp_path: Path, small: str, found: list[Room]) -> None:
    script = f"#!/bin/sh\necho Mounted Avail Use% IUse%\ncase $* in */run) echo '{small}' ;; *) echo '/ 71815464 41% 6%' ;; esac\n"
    (tmp_path / "df").write_text(script)
    (tmp_path / "df").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", rooms.QUESTION], env=environment, capture_output=True, text=True, check=True
    )
    assert [rooms.room(line.removeprefix("disk ")) for line in done.stdout.splitlines()] == USUAL + found

"""Stores: file systems of their own that are full are told of, from a df that says so."""

import os
import subprocess
from pathlib import Path

from tasks.facts.stores import QUESTION, tight


def test_what_is_full_is_told_once(tmp_path: Path) -> None:
    said = "    Avail Mounted on\n71815464 /\n71815464 /\n    3072 /var/log\n       0 /var/log/a b\n       - /proc"
    (tmp_path / "df").write_text(f"#!/bin/sh\necho '{said}'\n")
    (tmp_path / "df").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    first, _, _ = QUESTION.partition("\n")
    done = subprocess.run(
        ["sh", "-c", f"{first}\nwait"], env=environment, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert tight({"tight": [line.removeprefix("tight ") for line in lines]}) == {
        "/var/log/a b": 0,
        "/var/log": 3,
    }

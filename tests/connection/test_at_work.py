"""A command that takes long is said to, as long as it runs, which a terminal shows by itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import ROOT

OPERATIONS = """
from tasks.connection import at_work
from tasks.run import operation

at_work._FIRST, at_work._THEN = 0.5, 1

@operation
def short():
    yield "true"
    yield "sleep 0.2"

@operation
def long():
    yield "sleep 2; {}"

short(name="Short")
long(name="Long")
"""


@pytest.mark.parametrize("end", ["true", "false"])
def test_it_is_said_as_long_as_it_runs_and_not_of_what_is_short(tmp_path: Path, end: str) -> None:
    (tmp_path / "operations.py").write_text(OPERATIONS.replace("{}", end))
    program = str(Path(sys.executable).with_name("pyinfra"))
    done = subprocess.run(
        [program, "--data", "acme_email=a@b.cl", "-y", "@local", str(tmp_path / "operations.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (end == "false"), done.stderr
    before, _, after = done.stderr.partition("Starting operation: Long")
    assert "at work" not in before
    assert len(re.findall(r"\[@local\] at work for [0-2] s\n", after)) == 2, done.stderr

"""Printed: what nothing takes is one line and exit code 1; a locale that lacks a letter ends no run."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.samples import ROOT

DEPLOY = """
from tasks.commands.printed import data, printed
from tasks.run import executing, operation

@operation
def say():
    if executing():
        printed("\\u00fc")
        data({"long": "x" * 100000})
    yield from ()

say(name="Say")
"""


def said(folder: Path, out: Any, **environment: str) -> tuple[int, str]:
    """Exit code and standard error of a run that prints there."""
    file = folder / "deploy_of_test.py"
    file.write_text(DEPLOY)
    program = str(Path(sys.executable).with_name("pyinfra"))
    done = subprocess.run(
        [program, "-y", "--data", "acme_email=a@b.cl", "@local", str(file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("why", ["No space left on device", "Broken pipe"])
def test_what_nothing_takes_is_one_line(why: str, tmp_path: Path) -> None:
    if why == "Broken pipe":
        nobody, end = os.pipe()
        os.close(nobody)
    else:
        end = os.open("/dev/full", os.O_WRONLY)
    code, errors = said(tmp_path, end)
    os.close(end)
    assert f"standard output takes nothing ({why}): what was to be printed is lost" in errors
    assert (code, "Traceback" in errors, "Exception ignored" in errors) == (1, False, False)


def test_a_locale_without_a_letter_ends_no_run(tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    with (tmp_path / "out").open("wb") as out:
        code, errors = said(tmp_path, out, **plain)
    assert code == 0, errors
    assert (tmp_path / "out").read_bytes().startswith(b"\\xfc\n{\n")

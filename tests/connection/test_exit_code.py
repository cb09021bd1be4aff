"""Exit code: one Ctrl-C ends a run, whatever it waits for, and is no success."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.samples import ROOT
from tests.signals import heard

DEPLOY = """
from tasks.run import known, operation
from pyinfra.api import FactBase

class Docker(FactBase):
    def command(self):
        return "docker ps -aq"

@operation
def look():
    known(Docker)
    yield "true"

look(name="Look")
"""

# One that ends by itself once it is asked to, like a check.
VISIT = """
from pathlib import Path
import gevent
from tasks.clients import ending
from tasks.model.visitor import Ended
from tasks.run import Refused, executing, operation

@operation
def visit():
    if not executing():
        return
    yield from ()
    try:
        with ending.listening(), ending.visit():
            Path("{asked}").touch()
            gevent.sleep(60)
    except Ended as error:
        {then}

visit(name="Visit")
"""


def interrupted(folder: Path, deploy: str, *argv: str) -> tuple[int, str, str]:
    """A run that gets Ctrl-C once it has made the file ``asked``: exit code, standard output and standard error."""
    asked, file = folder / "asked", folder / "deploy.py"
    file.write_text(deploy)
    with (
        heard(),
        subprocess.Popen(
            [
                str(Path(sys.executable).with_name("pyinfra")),
                *("--data", "acme_email=a@b.cl", *argv, str(file)),
            ],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as run,
    ):
        try:
            deadline = time.monotonic() + 60
            while not asked.exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            began = time.monotonic()
            run.send_signal(signal.SIGINT)
            run.wait(45)
            assert time.monotonic() - began < 30
        finally:
            run.kill()
        assert run.stderr
        assert run.stdout
        return run.returncode, run.stdout.read(), run.stderr.read()


@pytest.mark.parametrize("flags", [(), ("-y",)], ids=["planning", "executing"])
@pytest.mark.parametrize("inventory", ["@local", "@local,@fake/other"])
def test_one_ctrl_c_ends_a_run_that_waits_for_an_answer(
    flags: tuple[str, ...], inventory: str, tmp_path: Path
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nexec sleep 60\n")
    docker.chmod(0o755)
    code, data, said = interrupted(tmp_path, DEPLOY, *flags, inventory)
    assert (code, data) == (130, ""), said
    assert "\nended; the same command goes on where it was\n" in said


@pytest.mark.parametrize("then", ['raise Refused(f"was ended {error}") from None', "pass"])
def test_what_ends_by_itself_after_ctrl_c_ends_so_too(then: str, tmp_path: Path) -> None:
    deploy = VISIT.format(asked=tmp_path / "asked", then=then)
    code, data, said = interrupted(tmp_path, deploy, "-y", "@local")
    assert (code, data) == (130, ""), said
    assert "ended by SIGINT: what the check has made is removed" in said
    assert ("was ended by SIGINT" in said) == ("Refused" in then)

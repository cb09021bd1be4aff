"""Exit code: one Ctrl-C ends a run, whatever it waits for, and is no success."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.samples import ROOT

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


@pytest.mark.parametrize("flags", [(), ("-y",)], ids=["planning", "executing"])
@pytest.mark.parametrize("inventory", ["@local", "@local,@fake/other"])
def test_one_ctrl_c_ends_a_run_that_waits_for_an_answer(
    flags: tuple[str, ...], inventory: str, tmp_path: Path
) -> None:
    docker, deploy, asked = tmp_path / "docker", tmp_path / "deploy.py", tmp_path / "asked"
    docker.write_text(f"#!/bin/sh\ntouch {asked}\nexec sleep 60\n")
    docker.chmod(0o755)
    deploy.write_text(DEPLOY)
    with subprocess.Popen(
        [
            str(Path(sys.executable).with_name("pyinfra")),
            *(*flags, "--data", "acme_email=a@b.cl", inventory, str(deploy)),
        ],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        try:
            deadline = time.monotonic() + 60
            while not asked.exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            began = time.monotonic()
            run.send_signal(signal.SIGINT)
            run.wait(45)
            took = time.monotonic() - began
        finally:
            run.kill()
        assert run.stderr
        assert run.stdout
        said, data = run.stderr.read(), run.stdout.read()
    assert (run.returncode, data) == (130, ""), said
    assert "\nended; the same command goes on where it was\n" in said
    assert took < 30

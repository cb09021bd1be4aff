"""Silence: a program that fails is never taken for one that has nothing to say; dates are read as numbers."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import FactBase

from tasks.connection.answer import PATIENCE, Late, NoAnswer, Printed, marked, read
from tasks.facts import DockerFact, DriftFact, MachineFact, StatusFact, TakeoverFact
from tasks.facts.host import HostFact
from tasks.facts.started import STARTED

DOWN = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
SILENT = "Docker does not answer, `systemctl status docker` on the host says why"


@pytest.fixture
def programs(tmp_path: Path) -> Any:
    """Programs that stand in the place of the host's: name → what sh runs for it."""

    def put(**scripts: str) -> dict[str, str]:
        for name, script in scripts.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return put


def answered(text: str, environment: dict[str, str], seconds: int = PATIENCE) -> list[str]:
    done = subprocess.run(
        ["sh", "-c", marked(text, seconds)], env=environment, capture_output=True, text=True, check=False
    )
    return read(Printed(done.returncode == 0, done.stdout.splitlines(), done.stderr.splitlines()), seconds)


@pytest.mark.parametrize("fact", [DockerFact, TakeoverFact])
def test_a_docker_that_is_down_is_no_empty_one(fact: type[FactBase[Any]], programs: Any) -> None:
    environment = programs(docker=f"echo '{DOWN}' >&2; exit 1")
    with pytest.raises(NoAnswer) as error:
        answered(str(fact().command()), environment)
    assert str(error.value).startswith(SILENT)
    assert DOWN in str(error.value)


@pytest.mark.parametrize("fact", [DockerFact, TakeoverFact, StatusFact])
def test_a_docker_that_goes_down_in_the_middle_is_no_empty_one(
    fact: type[FactBase[Any]], programs: Any
) -> None:
    environment = programs(
        docker='[ ! -e "$0.down" ] || exit 1\ncase $1 in ps) echo 4711 ;; inspect) touch "$0.down"; exit 1 ;; esac'
    )
    with pytest.raises(NoAnswer, match="Docker does not answer"):
        answered(str(fact().command()), environment)


@pytest.mark.parametrize("fact", [DockerFact, MachineFact, TakeoverFact])
def test_a_docker_that_takes_a_question_and_never_answers_is_waited_for_no_longer_than_the_question_may_take(
    fact: type[FactBase[Any]], programs: Any
) -> None:
    with pytest.raises(Late):
        answered(str(fact().command()), programs(docker="sleep 60"), 2)


def test_of_a_docker_that_never_answers_the_rest_of_the_host_is_known(programs: Any) -> None:
    environment = programs(
        docker="sleep 60", timeout='[ "$1" != 20 ] || set -- 1 "$2"; exec /usr/bin/timeout "$@"'
    )
    found = StatusFact().process(answered(StatusFact().command(), environment, 30))
    assert (found.docker, bool(found.rooms)) == (False, True)


@pytest.mark.parametrize("fact", [DockerFact, TakeoverFact, StatusFact])
def test_a_container_that_goes_away_meanwhile_is_no_failure(fact: type[FactBase[Any]], programs: Any) -> None:
    environment = programs(docker="case $1 in ps) echo 4711 ;; inspect) exit 1 ;; esac")
    answered(str(fact().command()), environment)


def test_a_docker_that_only_restarts_is_asked_again(programs: Any) -> None:
    script = 'case $1 in version) [ -e "$0.up" ] || { touch "$0.up"; exit 1; }; echo 26.1.5 ;; esac'
    assert "engine 26.1.5" in answered(MachineFact().command(), programs(docker=script))


def test_a_docker_that_answers_one_question_only_is_refused(programs: Any) -> None:
    lines = answered(
        MachineFact().command(), programs(docker="case $1 in version) echo 26 ;; *) exit 1 ;; esac")
    )
    with pytest.raises(Exception, match="Docker answers one question and not the next: run again"):
        MachineFact().process(lines)


def test_drift_says_of_a_generation_that_is_gone_what_brings_it_back(tmp_path: Path, programs: Any) -> None:
    (tmp_path / "current").symlink_to("generations/away")
    text = DriftFact().command().replace("/opt/smarteros/current", str(tmp_path / "current"))
    with pytest.raises(NoAnswer) as error:
        answered(text, programs())
    said = f"the files of the active generation are gone ({tmp_path}/current): `make deploy` writes them anew"
    assert str(error.value) == said


def test_a_systemd_that_does_not_answer_is_no_machine_without_units(programs: Any) -> None:
    command = HostFact().command(
        ("/etc/issue",), ("/proc/sys/kernel/x",), ("sudo",), ("ssh.service",), (("UMASK",), ("sctp",), ())
    )
    with pytest.raises(NoAnswer, match="systemd does not answer: Failed to connect to bus"):
        answered(command, programs(systemctl="echo Failed to connect to bus >&2; exit 1"))


# What systemctl says of a unit: 251 and newer, older, one that was never active.
NEW = "case $* in *timestamp=unix*) echo @1795413600 ;; *) exit 9 ;; esac"
OLD = "case $* in *timestamp*) exit 1 ;; *Monotonic*) echo {micro} ;; esac"


def test_since_when_a_unit_is_active_is_read_as_a_number(programs: Any) -> None:
    assert answered(f"{STARTED}\nstarted x", programs(systemctl=NEW, date="exit 1")) == ["1795413600"]


def test_an_older_systemd_says_it_since_the_boot(programs: Any) -> None:
    up = float(Path("/proc/uptime").read_text().split()[0])
    environment = programs(systemctl=OLD.format(micro=int((up - 60) * 1_000_000)))
    (line,) = answered(f"{STARTED}\nstarted x", environment)
    assert abs(time.time() - 60 - int(line)) <= 2


@pytest.mark.parametrize("script", ["echo", OLD.format(micro=0)])
def test_a_unit_that_was_never_active_is_older_than_anything(script: str, programs: Any) -> None:
    assert answered(f"{STARTED}\nstarted x", programs(systemctl=script)) == ["0"]

"""Lock-out with the delivered time, a control machine that is killed at the worst moment, and what comes in between."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.deployment import _PYINFRA, Deployment
from tests.e2e.test_lock_out import SECONDS, armed, back, host, inside, state
from tests.lab.smarteros import ROOT

__all__ = ["host"]

DEFAULT, PROMISED = 90, 120


@contextmanager
def held(host: Deployment, deploy: str, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has made its change and has not proven it."""
    data = [
        f"--data={key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in settings.items()
    ]
    run = subprocess.Popen(
        [_PYINFRA, "-y", "--limit", host.host.name, *data, "inventories/lab.py", deploy],
        cwd=ROOT,
        env={**os.environ, "SMARTEROS_LAB": host.lab.name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not armed(host):
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.2)
        yield run
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()


def test_with_the_delivered_settings_it_is_back_within_two_minutes(host: Deployment) -> None:
    before = state(host)
    started = time.monotonic()
    host.refused(deploy="tests/e2e/deploys/no_port.py")
    assert DEFAULT <= back(host, started, PROMISED) <= PROMISED
    assert state(host) == before


@pytest.mark.parametrize("deploy", ["no_port", "held"])
def test_a_control_machine_that_dies_leaves_nothing_behind(host: Deployment, deploy: str) -> None:
    before = state(host)
    started = time.monotonic()
    # Both change something: another name among the users, other rules.
    settings = {"revert_seconds": SECONDS, "login_users": ["root", "deploy"]}
    with held(host, f"tests/e2e/deploys/{deploy}.py", **settings) as run:
        run.send_signal(signal.SIGKILL)
        assert state(host) != before
    assert back(host, started, SECONDS + 40) > 0
    assert state(host) == before


def test_a_run_in_the_meantime_starts_from_the_old_state_and_its_own_change_stands(host: Deployment) -> None:
    users = {"login_users": ["root", "deploy"]}
    with held(host, "tests/e2e/deploys/held.py", revert_seconds=SECONDS, **users) as run:
        run.send_signal(signal.SIGKILL)
    assert host.converge(deploy="tests/e2e/deploys/access.py", **users).changes == [
        "Firewall | an unproven change is taken back",
        "SSH | keys only, named users",
    ]
    time.sleep(SECONDS + 5)
    host.unchanged(deploy="tests/e2e/deploys/access.py", **users)
    assert inside(host, "systemctl list-timers --all | grep -c smarteros-revert") == "0"
    host.converge(deploy="tests/e2e/deploys/access.py")


def test_a_reboot_in_the_meantime_brings_the_old_state(host: Deployment) -> None:
    before = state(host)
    with held(host, "tests/e2e/deploys/held.py", revert_seconds=100, login_users=["root", "deploy"]):
        host.host.power_cut()
    assert state(host) == before
    assert inside(host, "systemctl --failed --no-legend") == ""
    host.unchanged(deploy="tests/e2e/deploys/access.py")

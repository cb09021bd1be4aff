"""A deploy user with sudo instead of root, on a bare host: everything works, and what does not is said before anything is done."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.test_plan import CHANGES, CHECKS, PLANNED, TRACES, planned
from tests.lab import smarteros
from tests.lab.lab import Lab

# One service of each kind of work: files, secrets, databases, a first admin, the proxy.
SERVICES = ["vault", "postgres", "redis", "metabase", "vault-auth-validator", "caddy"]
# The lab itself looks at the host as root, whom sshd would lock out otherwise.
ROOT: dict[str, Any] = {"services": SERVICES, "login_users": ["deploy", "root"]}
SUDO: dict[str, Any] = {**ROOT, "ssh_user": "deploy", "_sudo": True}

NEW_USER = """
set -e
useradd --create-home --shell /bin/bash deploy
install -d -m 700 -o deploy -g deploy /home/deploy/.ssh
install -m 600 -o deploy -g deploy /root/.ssh/authorized_keys /home/deploy/.ssh/authorized_keys
# As hardening guides have it: what a run asks at once waits for its turn.
echo 'MaxSessions 2' >/etc/ssh/sshd_config.d/90-sessions.conf
systemctl restart ssh
"""
RULE = "/etc/sudoers.d/deploy"


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[Deployment]:
    """A bare host with a user who may log in, and nothing else yet."""
    deployment = Deployment(lab, lab.add_host("sudo"))
    deployment.sh(NEW_USER)
    lab.point(smarteros.domains(), deployment.host)
    yield deployment
    lab.point(smarteros.domains(), "lab-1")
    lab.remove_host("sudo")
    shutil.rmtree(lab.state.folder / "state" / "sudo", ignore_errors=True)


def test_a_user_who_may_not_is_told_before_anything_is_done(host: Deployment) -> None:
    without = host.refused(**ROOT, ssh_user="deploy")
    assert "login: commands run as deploy; log in as root, or set _sudo = True for the host" in without.output
    allow = (
        "allow it there, as root (echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/deploy), "
        "give the password (--same-sudo-password), or log in as root"
    )
    said = f"sudo: sudo does not let deploy work without a password (sudo: a password is required): {allow}"
    assert said in host.refused(**SUDO).output
    host.sh(f"echo 'deploy ALL=(ALL:ALL) ALL' > {RULE}")
    assert said in host.refused(**SUDO).output
    assert said in host.refused("--dry", yes=False, **SUDO).output
    host.sh(f"mv /usr/bin/sudo /usr/bin/sudo.away; rm {RULE}")
    assert "sudo: _sudo is set and there is no sudo: install it there" in host.refused(**SUDO).output
    host.sh("mv /usr/bin/sudo.away /usr/bin/sudo")
    assert host.sh("find /opt /var/log/smarteros -mindepth 1 2>/dev/null", check=False) == ""


def test_a_bare_host_gets_a_plan_then_after_enter_the_deployment_and_a_second_run_changes_nothing(
    host: Deployment,
) -> None:
    host.sh(f"echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' > {RULE}; touch /root/before")
    plan = host.run("--dry", yes=False, **SUDO)
    assert plan.code == 0, plan.output
    assert planned(plan) == dict.fromkeys(CHECKS, "-") | dict.fromkeys(PLANNED, "1 (sudo)")
    assert plan.changes == []
    assert host.sh(TRACES) == ""
    first = host.run(yes=False, **SUDO)
    assert first.code == 0, first.output
    assert planned(first) == dict.fromkeys(PLANNED, "1 (sudo)")
    assert first.changes == CHANGES
    host.unchanged(**SUDO)
    plan = host.run("--dry", yes=False, **SUDO)
    assert (plan.code, "1 (sudo)" in plan.output) == (0, False), plan.output
    assert host.run(deploy="tasks.commands.verify.run", **SUDO).code == 0
    assert host.run(deploy="tasks.commands.status.run", **SUDO).code == 0
    logins = [json.loads(line)["login"] for line in host.sh("cat /var/log/smarteros/runs.log").splitlines()]
    assert logins == ["deploy", "deploy"]


def test_what_the_user_deployed_is_roots_and_root_finds_nothing_to_change(host: Deployment) -> None:
    owned = "find /opt/smarteros /vault /etc/systemd/system /etc/docker /var/log/smarteros ! -user root"
    assert host.sh(f"{owned}; find / -xdev -user deploy ! -path '/home/*' ! -path '/proc/*'") == ""
    host.unchanged(**ROOT)


def test_a_killed_run_frees_the_lock_through_sudo_too(host: Deployment) -> None:
    taken = "[ -e /var/log/smarteros/.unfinished ] && ! flock -n /run/smarteros/lock true && echo taken"
    with subprocess.Popen(
        host.argv("-y", **SUDO),
        cwd=smarteros.ROOT,
        env={**os.environ, "SMARTEROS_LAB": host.lab.name},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as run:
        until(lambda: host.sh(taken, check=False) == "taken\n")
        run.kill()
    until(lambda: host.sh("flock -n /run/smarteros/lock echo free", check=False) == "free\n")
    until(lambda: "interrupted" in host.sh("tail -n 1 /var/log/smarteros/runs.log"))
    host.unchanged(**SUDO)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)

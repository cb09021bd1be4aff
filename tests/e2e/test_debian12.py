"""Debian 12: refused with its own Docker, which is too old; `make bootstrap` takes docker.com's, deploys all of it, and it boots."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.newcomer import Newcomer
from tests.e2e.well import not_well, wait_for
from tests.hosts.conditions import Condition, check
from tests.lab import smarteros
from tests.lab.lab import Lab

SETTINGS: dict[str, Any] = {"docker_source": "docker.com"}
PACKAGES = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin", "docker-buildx-plugin")
KEYRING = "/etc/apt/keyrings/docker.asc"


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[Deployment]:
    """A bare host at first, which the domains point at."""
    deployment = Deployment(lab, lab.add_host("debian12", system="debian12"))
    lab.point(smarteros.domains(), deployment.host)
    yield deployment
    lab.point(smarteros.domains(), "lab-1")
    lab.remove_host("debian12")
    shutil.rmtree(lab.state.folder / "state" / "debian12", ignore_errors=True)


@pytest.fixture(scope="module")
def newcomer(host: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """Who has never seen it."""
    return Newcomer(tmp_path_factory.mktemp("newcomer"), host.lab)


def test_its_own_docker_is_refused_before_the_first_change(host: Deployment) -> None:
    said = 'docker: Debian 12 ships one that is too old; set docker_source = "docker.com"'
    check(host, Condition("with its own Docker", refused=(said,)))


def test_one_command_takes_it_from_bare_to_checked_and_a_second_run_changes_nothing(
    host: Deployment, newcomer: Newcomer
) -> None:
    # As builders of images leave it behind: no package starts what it brings.
    host.sh("printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d")
    before = host.sh("dpkg -l | sha256sum; ls -A /opt /etc/apt/keyrings")
    host.lab.point(smarteros.domains(), "lab-1")
    first = newcomer.bootstrap(
        "yes\n",
        HOST=f"root@{host.host.address}",
        ZONE="smarterbot.cl",
        MIRRORS="smarterbot.store",
        EMAIL="ops@smarterbot.cl",
        WAIT="0.01",
    )
    shown = host.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    assert f"shows the key {shown} (ssh-ed25519)" in first.output
    assert f"\ncrm.smarterbot.cl.        300 IN A {host.host.address}  ; leads to " in first.output, (
        first.output
    )
    assert "after 0.01 minutes crm.smarterbot.cl, " in first.output
    assert (first.code, host.sh("dpkg -l | sha256sum; ls -A /opt /etc/apt/keyrings")) == (1, before)
    assert 'docker_source = "docker.com"\n' in newcomer.settings.read_text()

    newcomer.as_in_the_lab(host)
    host.lab.point(smarteros.domains(), host.host)
    run = newcomer.bootstrap(YES="1")
    assert run.code == 0, run.output[-6000:]
    assert f"12 of 12 domains lead to root@{host.host.address}" in run.output
    assert "does what its users want: https://crm.smarterbot.cl/ " in run.output
    newcomer.hand_over(host)
    host.unchanged(**SETTINGS)
    assert host.sh("systemctl --failed --plain --no-legend; systemctl is-system-running") == "running\n"
    assert "Currently banned" in host.sh("fail2ban-client status sshd")


def test_docker_is_docker_coms_and_was_vouched_for(host: Deployment) -> None:
    installed = host.sh(
        "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' '*docker*' 'containerd*' runc 2>/dev/null"
    )
    assert sorted(
        line.split()[0] for line in installed.splitlines() if line.endswith(" installed")
    ) == sorted(PACKAGES)
    sources = host.sh(
        f"apt-cache policy {' '.join(PACKAGES)} | grep -c '500 https://download.docker.com/linux/debian'"
    )
    assert int(sources) >= len(PACKAGES)
    unsigned = f"mv {KEYRING} {KEYRING}.away; apt-get -q update 2>&1; mv {KEYRING}.away {KEYRING}"
    assert (
        "https://download.docker.com/linux/debian bookworm InRelease: The following signatures couldn't be verified"
        in host.sh(unsigned)
    )
    assert host.sh("apt-get -q update 2>&1 | grep '^[WE]:'", check=False) == ""


def test_what_users_see_is_well_and_so_it_is_after_a_boot(host: Deployment) -> None:
    assert host.run(deploy="tasks.commands.verify.run").code == 0
    host.host.reboot()
    wait_for(lambda: not_well(host), {}, 300)
    host.unchanged(**SETTINGS)
    assert host.run(deploy="tasks.commands.verify.run").code == 0

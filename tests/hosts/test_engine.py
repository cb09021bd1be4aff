"""Engines that people have put on a host: seen by their packages, programs, units and sockets, and never replaced."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

ELSE = "or take another host"


def package(name: str, version: str = "5:28.0.1-1") -> str:
    """Shell that installs an empty package of that name."""
    return (
        f"d=$(mktemp -d); chmod 755 $d; mkdir $d/DEBIAN; printf 'Package: {name}\\nVersion: {version}\\nArchitecture: all\\n"
        f"Maintainer: nobody\\nDescription: empty\\n' >$d/DEBIAN/control; dpkg-deb --build $d $d.deb >/dev/null; "
        f"dpkg --force-depends --install $d.deb >/dev/null; rm -r $d $d.deb"
    )


def gone(*names: str) -> str:
    """Shell that removes packages, and what dpkg noted of them."""
    return f"dpkg --force-depends --purge {' '.join(names)} >/dev/null"


PROGRAM = "printf '#!/bin/sh\\nexit 1\\n' >/usr/local/bin/dockerd; chmod 755 /usr/local/bin/dockerd"

CONDITIONS = [
    Condition(
        "the snap",
        "mkdir -p /snap/docker; ln -s 2976 /snap/docker/current",
        "rm -r /snap",
        refused=(
            (
                "docker: the snap is installed, which keeps its own data and sees only a part of the host: move what runs "
                f"in it and `snap remove docker`, {ELSE}"
            ),
        ),
    ),
    *(
        Condition(
            name,
            package(name, "28.0.1"),
            gone(name),
            refused=(
                (
                    f"docker: {name} 28.0.1 is installed, which this stack does not run on: move what runs in it and "
                    f"`apt-get remove {name}`, {ELSE}"
                ),
            ),
        )
        for name in ("moby-engine", "podman-docker")
    ),
    Condition(
        "a rootless engine",
        "mkdir -p /run/user/2; python3 -c \"import socket; socket.socket(1).bind('/run/user/2/docker.sock')\"",
        "rm -r /run/user/2",
        refused=(
            (
                "docker: bin has a rootless engine, which the kernel settings of this stack could stop: move what runs "
                f"in it and `dockerd-rootless-setuptool.sh uninstall` as bin, {ELSE}"
            ),
        ),
    ),
    Condition(
        "a program without a package",
        PROGRAM,
        "rm /usr/local/bin/dockerd",
        refused=(
            (
                "docker: /usr/local/bin/dockerd belongs to no package: move what its engine runs and remove dockerd with "
                f"its unit, {ELSE}"
            ),
        ),
    ),
    Condition(
        "a client of another source without an engine",
        package("docker-ce-cli"),
        gone("docker-ce-cli"),
        refused=(
            (
                'docker: docker-ce-cli without an engine would have to go for docker_source = "distribution": set '
                'docker_source = "docker.com", or `apt-get remove docker-ce-cli` if nothing needs it'
            ),
        ),
    ),
    Condition(
        "containerd of something else, and docker.com's packages wanted",
        package("containerd", "1.7.24"),
        gone("containerd"),
        refused=(
            (
                'docker: containerd without an engine would have to go for docker_source = "docker.com": set '
                'docker_source = "distribution", or `apt-get remove containerd` if nothing needs it'
            ),
        ),
        settings={"docker_source": "docker.com"},
    ),
    Condition(
        "an engine that is too old",
        package("docker-ce", "5:24.0.9-1"),
        gone("docker-ce"),
        refused=(
            (
                "docker: 24.0.9-1 is older than 25; `apt-get install --only-upgrade docker-ce docker-ce-cli "
                "containerd.io`"
            ),
        ),
    ),
    Condition(
        "a kubelet",
        "systemd-run --quiet --unit kubelet sleep 1000",
        "systemctl stop kubelet",
        refused=(
            (
                "kubernetes: kubelet.service runs here, whose ports and containerd a second stack would take from it: "
                "take another host"
            ),
        ),
    ),
    Condition(
        "a unit that is masked",
        "ln -s /dev/null /etc/systemd/system/docker.service; systemctl daemon-reload",
        "rm /etc/systemd/system/docker.service; systemctl daemon-reload",
        refused=("systemd: docker.service is masked: `systemctl unmask docker.service`, if it may run",),
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_an_engine_that_this_stack_does_not_run_on(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)


SWARM = Condition(
    "a swarm of others",
    "docker swarm init --advertise-addr 127.0.0.1 >/dev/null",
    "docker swarm leave --force >/dev/null; docker network rm docker_gwbridge >/dev/null",
    refused=(
        (
            "swarm: this host is a manager of a swarm, whose ports the firewall would close: `docker swarm leave` if "
            f"nobody needs it, {ELSE}"
        ),
    ),
)


def test_a_swarm_of_others_is_left_alone(odd: Deployment) -> None:
    check(odd, SWARM)

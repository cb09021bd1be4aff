"""Engine: a Docker that is there is used or refused, never replaced; the exact words of each refusal."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.facts import Machine
from tasks.facts.engine import Engine
from tasks.operations import engine

DEBIAN = Machine(system="debian", release="13")
WORKS = replace(DEBIAN, engine="28.0.1", compose="/usr/libexec/…", buildx="/usr/libexec/…")
PACKAGED = {"docker": ("/usr/bin/docker", "docker-cli"), "dockerd": ("/usr/sbin/dockerd", "docker.io")}
OURS = {"docker.io": "26.1.5+dfsg1-9", "docker-cli": "26.1.5+dfsg1-9"}
THEIRS = {
    "docker-ce": "5:28.0.1-1~debian.13~trixie",
    "docker-ce-cli": "5:28.0.1-1~debian.13~trixie",
    "containerd.io": "1.7.27-1",
}


def problems(machine: Machine = DEBIAN, source: str = "distribution", **found: Any) -> list[str]:
    return list(engine.problems(machine, Engine(**found), source))


@pytest.mark.parametrize("source", ["distribution", "docker.com"])
@pytest.mark.parametrize("packages", [{}, OURS, THEIRS])
def test_a_bare_host_and_either_packaged_engine_is_fine_whatever_the_setting(
    source: str, packages: dict[str, str]
) -> None:
    assert (
        problems(
            WORKS if packages else DEBIAN, source, packages=packages, programs=PACKAGED if packages else {}
        )
        == []
    )


def test_what_starts_for_nobody_is_named_with_what_undoes_that() -> None:
    assert list(engine.masked({"docker.service": "disabled", "smarteros-drift.timer": "masked"})) == []
    assert list(engine.masked({"docker.service": "masked"})) == [
        "systemd: docker.service is masked: `systemctl unmask docker.service`, if it may run"
    ]


def test_debian_12_is_fine_with_dockers_own_packages() -> None:
    bookworm = replace(DEBIAN, release="12")
    assert problems(bookworm, "docker.com") == []
    assert problems(bookworm, packages=THEIRS) == []
    assert problems(bookworm) == [
        'docker: Debian 12 ships one that is too old; set docker_source = "docker.com"'
    ]


ELSE = "or take another host"
REASONS: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"snap": "2976", "programs": {"docker": ("/snap/bin/docker", "")}},
        [
            (
                "docker: the snap is installed, which keeps its own data and sees only a part of the host: move what runs in "
                f"it and `snap remove docker`, {ELSE}"
            )
        ],
    ),
    (
        {"packages": {"moby-engine": "28.0.1", "moby-containerd": "1.7"}, "programs": PACKAGED},
        [
            (
                "docker: moby-engine 28.0.1 is installed, which this stack does not run on: move what runs in it and "
                f"`apt-get remove moby-engine`, {ELSE}"
            )
        ],
    ),
    (
        {
            "packages": {"podman-docker": "5.4.2"},
            "programs": {"docker": ("/usr/bin/docker", "podman-docker")},
        },
        [
            (
                "docker: podman-docker 5.4.2 is installed, which this stack does not run on: move what runs in it and "
                f"`apt-get remove podman-docker`, {ELSE}"
            )
        ],
    ),
    (
        {"rootless": ("bob",), "programs": {"dockerd": ("/home/bob/bin/dockerd", "")}},
        [
            (
                "docker: bob has a rootless engine, which the kernel settings of this stack could stop: move what runs in it "
                f"and `dockerd-rootless-setuptool.sh uninstall` as bob, {ELSE}"
            )
        ],
    ),
    (
        {"programs": {"docker": ("/usr/local/bin/docker", ""), "dockerd": ("/usr/local/bin/dockerd", "")}},
        [
            (
                "docker: /usr/local/bin/docker belongs to no package: move what its engine runs and remove docker with its "
                f"unit, {ELSE}"
            ),
            (
                "docker: /usr/local/bin/dockerd belongs to no package: move what its engine runs and remove dockerd with its "
                f"unit, {ELSE}"
            ),
        ],
    ),
    (
        {"packages": {"docker-ce-cli": "5:28", "containerd.io": "1.7"}, "agents": ("nomad.service",)},
        [
            (
                "docker: docker-ce-cli, containerd.io without an engine (which nomad.service may use) would have to go for "
                'docker_source = "distribution": set docker_source = "docker.com", or `apt-get remove docker-ce-cli '
                "containerd.io` if nothing needs it"
            )
        ],
    ),
    (
        {"agents": ("k3s.service",)},
        [
            (
                "kubernetes: k3s.service runs here, whose ports and containerd a second stack would take from it: take "
                "another host"
            )
        ],
    ),
    (
        {
            "packages": OURS,
            "unit": {"ActiveState": "failed"},
            "words": "failed to start daemon: no",
        },
        [
            (
                "docker: docker.service has failed (failed to start daemon: no): mend it (`journalctl -u docker`) or remove "
                "Docker"
            )
        ],
    ),
    (
        {"swarm": "manager", "swarm_services": ("shop", "blog")},
        [
            (
                "swarm: this host is a manager of a swarm with the services shop, blog, whose ports the firewall would close: "
                f"`docker swarm leave` if nobody needs it, {ELSE}"
            )
        ],
    ),
    (
        {"swarm": "active"},
        [
            (
                "swarm: this host is a worker of a swarm, whose ports the firewall would close: `docker swarm leave` if "
                f"nobody needs it, {ELSE}"
            )
        ],
    ),
    (
        {"packages": {"docker.io": "20.10.24+dfsg1-1"}},
        ["docker: 20.10.24+dfsg1-1 is older than 25; remove it, and let this run install a newer one"],
    ),
    (
        {"packages": {"docker-ce": "5:24.0.9-1~debian"}},
        [
            (
                "docker: 24.0.9-1~debian is older than 25; `apt-get install --only-upgrade docker-ce docker-ce-cli "
                "containerd.io`"
            )
        ],
    ),
]


@pytest.mark.parametrize(("found", "lines"), REASONS)
def test_each_reason_is_one_line_with_the_way_out(found: dict[str, Any], lines: list[str]) -> None:
    assert problems(**found) == lines


def test_containerd_of_another_is_not_replaced_by_dockers() -> None:
    assert problems(source="docker.com", packages={"containerd": "1.7.24", "runc": "1.1.15"}) == [
        (
            'docker: containerd, runc without an engine would have to go for docker_source = "docker.com": set docker_source '
            '= "distribution", or `apt-get remove containerd runc` if nothing needs it'
        )
    ]
    assert problems(packages={"containerd": "1.7.24", "runc": "1.1.15", "docker-cli": "26.1.5"}) == []


def test_what_is_missing_comes_from_where_the_engine_came_from() -> None:
    def missing(machine: Machine, source: str, **found: Any) -> str:
        return " ".join(engine.missing(machine, Engine(**found), source))

    assert missing(DEBIAN, "distribution") == "docker.io docker-cli docker-compose docker-buildx"
    assert (
        missing(replace(DEBIAN, system="ubuntu"), "distribution")
        == "docker.io docker-compose-v2 docker-buildx"
    )
    upstream = "docker-ce containerd.io docker-ce-cli docker-compose-plugin docker-buildx-plugin"
    assert missing(DEBIAN, "docker.com") == upstream
    assert missing(WORKS, "docker.com", packages=OURS) == ""
    plugins = "docker-compose-plugin docker-buildx-plugin"
    assert missing(replace(WORKS, compose="", buildx=""), "distribution", packages=THEIRS) == plugins
    assert (
        missing(replace(WORKS, compose=""), "docker.com", packages=OURS, programs=PACKAGED)
        == "docker-compose"
    )
    alone = {"docker.io": "26.1.5"}
    assert missing(DEBIAN, "distribution", packages=alone) == "docker-cli docker-compose docker-buildx"


def test_an_engine_from_elsewhere_that_stays_is_said() -> None:
    assert list(engine.remarks(Engine(packages=OURS), "distribution")) == []
    assert list(engine.remarks(Engine(packages=THEIRS, agents=("nomad.service",)), "distribution")) == [
        (
            'docker: docker-ce 5:28.0.1-1~debian.13~trixie is there and stays, though docker_source = "distribution": what '
            "it lacks comes from where it came from"
        ),
        "nomad runs here: the firewall closes its ports to the world",
    ]

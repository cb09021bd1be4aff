"""Survey: a host of ours is asked nothing more, another one is judged as a whole before its first change."""

import json
from base64 import b64encode
from typing import Any

import pytest

from tasks.facts.packages import Packages
from tasks.operations import survey
from tests.facts.test_facts import MACHINE
from tests.fake import fake
from tests.operations.test_daemon import OURS

DOCKER = ["enabled yes", "engine 26.1.5", "compose 2.26.1", "buildx 0.13.1"]
HERE = ["package docker.io 26.1.5", "program docker /usr/bin/docker docker-cli"]


def settings(value: Any) -> str:
    """The line that the fact prints of a daemon.json."""
    return f"daemon_json {b64encode(json.dumps(value).encode()).decode()}"


def judged(machine: list[str], lines: list[str], said: str = "") -> tuple[list[str], list[str]]:
    """Refusals and remarks for a host that answers so."""
    answers = {
        "/etc/os-release": machine,
        "cat /etc/apt/preferences": lines,
        "--validate": [said] if said else [],
    }
    with fake(answers):
        refused = list(survey.refusals())
        return refused, [] if refused else list(survey.remarks())


OURS_WHOLE = [*MACHINE[:9], *DOCKER, "deployed yes", settings(OURS)]
USED = [*MACHINE[:9], *DOCKER]
HOST = "other no|false|shop-db"


def test_a_host_of_ours_that_is_right_is_not_even_asked() -> None:
    assert judged(OURS_WHOLE, ["rootless bob", "agent k3s.service", "swarm_service x"]) == ([], [])


def test_a_bare_host_and_one_with_docker_are_fine() -> None:
    assert judged(MACHINE[:9], []) == ([], [])
    assert judged(USED, HERE) == ([], [])


def test_every_reason_comes_at_once() -> None:
    lines = [
        "snap 29",
        "held nftables",
        "mount /var/lib/docker 1 tmpfs rw",
        "sources Malformed entry 1 in list file /x (URI)",
    ]
    refused, _ = judged(MACHINE[:9], lines)
    assert [line.partition(":")[0] for line in refused] == ["docker", "apt", "apt", "disk"]


def test_what_dockerd_itself_says_against_the_settings_is_a_reason() -> None:
    refused, _ = judged(
        [*USED, settings({"nonsense": 1})], HERE, "the following directives don't match: nonsense"
    )
    assert refused == [
        (
            "docker: dockerd does not take /etc/docker/daemon.json with what this run adds: the following directives don't "
            "match: nonsense"
        )
    ]


def test_settings_that_cannot_be_read_are_a_reason() -> None:
    refused, _ = judged([*USED, f"daemon_json {b64encode(b'{').decode()}"], HERE)
    assert refused == [
        (
            "docker: /etc/docker/daemon.json is no JSON: line 1, column 2: Expecting property name enclosed in double quotes "
            "(it knows no comments, no comma after the last entry, no byte order mark): mend or remove it"
        )
    ]


def test_containers_of_others_keep_their_settings_and_that_is_said() -> None:
    keys = "default-ulimits, icc, log-driver, log-opts, no-new-privileges"
    assert judged(USED, [*HERE, HOST])[1] == [
        f"docker: {keys} stay as they are (there is no /etc/docker/daemon.json yet) while others' containers run here (shop-db)"
    ]
    assert judged([*USED, settings({"icc": True})], HERE)[1] == [
        "docker: /etc/docker/daemon.json keeps its own icc"
    ]


STALE = [*OURS_WHOLE, "stale yes"]


def test_a_restart_that_stops_containers_of_others_is_said_with_their_names() -> None:
    assert judged(STALE, [*HERE, HOST, "other always|false|web"])[1] == [
        "docker: restarts for its settings, and with it shop-db, web",
        "docker: shop-db would not come back by itself and is started again after that",
    ]
    assert judged(STALE, [*HERE, HOST, "info true|inactive|false|/var/lib/docker|"])[1] == []
    assert judged(STALE, HERE)[1] == []


def test_a_restart_that_would_remove_a_container_is_refused() -> None:
    assert judged(STALE, [*HERE, "other no|true|job"])[0] == [
        (
            "docker: /etc/docker/daemon.json changes, and the restart of Docker that it needs would remove job (started with "
            "--rm): stop it, or start it without"
        )
    ]


NOW = ["info false|inactive|false|/var/lib/docker|", "driver overlay2"]
ASIDE = "make it what Docker has, or move them and restart Docker yourself before the next run"


@pytest.mark.parametrize(
    ("have", "flags", "line"),
    [
        ({}, (), ""),
        ({"data-root": "/var/lib/docker/", "storage-driver": "overlay2"}, (), ""),
        ({"features": {"containerd-snapshotter": False}}, (), ""),
        (
            {"data-root": "/srv/docker"},
            (),
            (
                'docker: "data-root" is /srv/docker by /etc/docker/daemon.json, and Docker has /var/lib/docker until it restarts: '
                "{when} would leave its containers, images and volumes behind: " + ASIDE
            ),
        ),
        (
            {},
            ("-H", "fd://", "-g", "/srv/my docker"),
            (
                'docker: "data-root" is /srv/my docker by the command line of docker.service, and Docker has /var/lib/docker '
                "until it restarts: {when} would leave its containers, images and volumes behind: " + ASIDE
            ),
        ),
        (
            {},
            ("--storage-driver=vfs",),
            (
                'docker: "storage-driver" is vfs by the command line of docker.service, and Docker has overlay2 until it '
                "restarts: {when} would leave its containers and images behind: " + ASIDE
            ),
        ),
        (
            {"features": {"containerd-snapshotter": True}},
            (),
            (
                'docker: "containerd-snapshotter" is containerd\'s image store by /etc/docker/daemon.json, and Docker has '
                "Docker's own image store until it restarts: {when} would leave its containers and images behind: "
            )
            + ASIDE,
        ),
    ],
)
def test_a_restart_that_would_have_docker_store_elsewhere_is_refused_and_a_boot_is_warned_of(
    have: dict[str, Any], flags: tuple[str, ...], line: str
) -> None:
    lines = [*HERE, *NOW, *(f"flag {word}" for word in flags)]
    for deployed in (["deployed yes", "stale yes"], []):
        refused, _ = judged([*USED, *deployed, settings({**OURS, **have})], lines)
        when = "the restart that this run needs"
        assert refused == ([line.format(when=when)] if line and deployed else []), deployed
    _, said = judged([*USED, settings({**OURS, **have})], lines)
    assert said == ([line.format(when="the next boot, or restart of Docker,")] if line else [])


def test_a_first_deploy_restarts_too() -> None:
    refused, _ = judged([*USED, settings({"data-root": "/srv/docker"})], [*HERE, *NOW])
    assert ["/srv/docker by" in item for item in refused] == [True]


def test_a_link_to_where_docker_stores_moves_nothing() -> None:
    lines = [*HERE, "info false|inactive|false|/mnt/disk/docker|"]
    answers = {
        "/etc/os-release": [*USED, "deployed yes", "stale yes", settings(OURS)],
        "cat /etc/apt/preferences": lines,
        "readlink -m -- /var/lib/docker": ["/mnt/disk/docker"],
        "--validate": [],
    }
    with fake(answers):
        assert list(survey.refusals()) == []


def test_a_unit_that_systemd_has_not_loaded_is_refused_where_docker_restarts() -> None:
    refused, _ = judged(STALE, [*HERE, *NOW, "unit NeedDaemonReload=yes"])
    assert [line.partition(",")[0] for line in refused] == [
        "docker: files of docker.service have changed and systemd has not loaded them"
    ]


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ({}, []),
        ({"held": frozenset(["nano", "a"]), "installed": frozenset(["a"])}, []),
        ({"held": frozenset(["b"])}, ["apt: b is on hold and not installed: `apt-mark unhold b`"]),
        (
            {"pinned": {"b": "/etc/apt/preferences.d/x"}},
            ["apt: b is kept from being installed by /etc/apt/preferences.d/x: take that out"],
        ),
        (
            {"unmet": ("shop : Depends: libold but it is not installable",)},
            [
                (
                    "apt: shop : Depends: libold but it is not installable, and nothing else can be installed until that is mended: "
                    "`apt-get --fix-broken install` says how, or remove shop"
                )
            ],
        ),
        ({"unmet": ("shop : Depends: tree but it is not installed",), "mended": True}, []),
        (
            {"sources": ("Malformed entry 1 in list file /x.list (URI)",)},
            [
                "apt: Malformed entry 1 in list file /x.list (URI): mend it (`apt-get update` has to read every source)"
            ],
        ),
        (
            {"proxies": ("http://127.0.0.1:9|/etc/apt/apt.conf.d/01proxy",)},
            [
                "apt: its proxy http://127.0.0.1:9 (/etc/apt/apt.conf.d/01proxy) does not answer: start it, or take it out"
            ],
        ),
        ({"proxies": ("http://127.0.0.1:9|",), "installed": frozenset(["a", "b"])}, []),
    ],
)
def test_what_stands_in_apts_way_is_named(found: dict[str, Any], lines: list[str]) -> None:
    assert list(survey.apt_problems(Packages(**found), ("a", "b"))) == lines


def test_containerd_stores_the_images_of_a_new_docker_from_docker_com() -> None:
    with fake({"/etc/os-release": MACHINE[:9]}, docker_source="docker.com"):
        assert survey.images() == "containerd"
    for lines in (MACHINE[:9], OURS_WHOLE):
        with fake({"/etc/os-release": lines}):
            assert survey.images() == ""


def test_what_others_packages_lack_is_said_where_apt_can_get_it() -> None:
    lines = ["unmet shop : Depends: tree but it is not installed", "mended yes"]
    assert judged(MACHINE[:9], lines)[1] == [
        "apt: shop : Depends: tree but it is not installed: apt gets what is missing first"
    ]


def test_what_later_phases_install_is_known_before_and_is_nothing_on_a_host_of_ours() -> None:
    with fake({"/etc/os-release": MACHINE[:9], "cat /etc/apt/preferences": ["installed nftables"]}):
        assert survey.installs()[:3] == ["ca-certificates", "iptables", "docker.io"]
    with fake({"/etc/os-release": OURS_WHOLE}):
        assert survey.installs() == []


UNTRIED = (
    "docker: /etc/docker/daemon.json has changed since Docker started, and the restart that this run needs would be the first with "
    "what it says: restart Docker yourself (`systemctl restart docker`), then run again"
)


def test_settings_with_which_docker_has_never_started_are_not_tried_by_us() -> None:
    theirs = settings({"dns": ["10.0.0.1"]})
    assert judged([*USED, theirs, "stale yes"], HERE)[0] == [UNTRIED]
    assert judged([*USED, theirs], HERE)[0] == []
    assert judged([*USED, settings({}), "stale yes"], HERE)[0] == []  # it says nothing
    # Ours that a killed run has not tried, and an engine that does not run.
    assert judged([*USED, theirs, "stale yes", "unproven yes"], HERE)[0] == []
    assert judged([*MACHINE[:9], theirs], HERE)[0] == []

"""Docker: daemon.json keeps what the operator wrote, the install is exact, a restart only when it is due."""

import json
import subprocess
from pathlib import Path

import pytest

from tasks import docker
from tasks.facts import Machine, MachineFact
from tasks.operations.kept import keep
from tasks.run import Refused, known
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake, stdin
from tests.operations.test_apt import WAIT

OURS = {
    "log-driver": "json-file",
    "log-opts": {"max-size": "10m", "max-file": "3"},
    "no-new-privileges": True,
    "icc": False,
    "default-ulimits": {
        "core": {"Name": "core", "Soft": 0, "Hard": 0},
        "nofile": {"Name": "nofile", "Soft": 16384, "Hard": 16384},
    },
}


def test_a_bare_host_gets_our_settings() -> None:
    assert json.loads(docker.daemon_settings("")) == OURS


def test_the_operators_other_settings_stay() -> None:
    present = json.dumps({"data-root": "/srv/docker", "log-driver": "syslog", "dns": ["10.0.0.1"]})
    assert json.loads(docker.daemon_settings(present)) == {
        "data-root": "/srv/docker",
        "dns": ["10.0.0.1"],
        **OURS,
    }


def test_settings_that_are_right_are_not_written() -> None:
    assert docker.daemon_settings(json.dumps({**OURS, "ipv6": True})) == ""


@pytest.mark.parametrize(
    ("present", "why"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "'list' object is not a mapping"),
        ("null", "'NoneType' object is not a mapping"),
    ],
)
def test_a_broken_file_is_refused(present: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        docker.daemon_settings(present)
    assert str(refused.value) == f"/etc/docker/daemon.json is no JSON object ({why}): mend or remove it"


def write(folder: Path, settings: str) -> tuple[int, str]:
    """What the command that writes daemon.json does with that on its standard input: exit code and the file after it."""
    text = docker._WRITE_DAEMON.replace("/etc/docker", str(folder)).replace("/var/lib", f"{folder}/lib")
    done = subprocess.run(["sh", "-c", text], input=settings, text=True, check=False)
    return done.returncode, (folder / "daemon.json").read_text()


def test_settings_that_do_not_arrive_whole_leave_the_file_as_it_was(tmp_path: Path) -> None:
    settings = docker.daemon_settings("")
    (tmp_path / "daemon.json").write_text("{}")
    cut = [settings[:length] for length in range(len(settings))]
    assert {write(tmp_path, text) for text in cut} == {(1, "{}")}
    assert write(tmp_path, f"{settings}\n") == (0, f"{settings}\n")


APT = "apt-get -q -o DPkg::Lock::Timeout=600"
INSTALL = f"{APT} install -y --no-install-recommends"
UPDATE = f"{WAIT}; {APT} update"


def test_debian_installs_its_own_packages() -> None:
    assert docker.install(Machine(system="debian", release="13"), "distribution").splitlines() == [
        "set -e",
        "export DEBIAN_FRONTEND=noninteractive",
        UPDATE,
        f"{INSTALL} iptables ca-certificates docker.io docker-cli docker-compose docker-buildx",
    ]


def test_ubuntu_installs_its_own_packages() -> None:
    assert docker.install(Machine(system="ubuntu", release="24.04"), "distribution").splitlines()[-1] == (
        f"{INSTALL} iptables ca-certificates docker.io docker-compose-v2 docker-buildx"
    )


def test_upstreams_packages_come_with_their_signed_source() -> None:
    text = docker.install(Machine(system="debian", release="12"), "docker.com")
    assert text.splitlines() == [
        "set -e",
        "export DEBIAN_FRONTEND=noninteractive",
        UPDATE,
        f"{INSTALL} ca-certificates curl",
        "install -d -m 755 /etc/apt/keyrings",
        *keep(["/etc/apt/keyrings/docker.asc", "/etc/apt/sources.list.d/docker.sources"]).splitlines(),
        "curl -fsSL https://download.docker.com/linux/debian/gpg -o /etc/apt/keyrings/docker.asc",
        ". /etc/os-release",
        (
            "printf '%s\\n' 'Types: deb' 'URIs: https://download.docker.com/linux/debian' "
            "\"Suites: $VERSION_CODENAME\" 'Components: stable' "
            "'Signed-By: /etc/apt/keyrings/docker.asc' > /etc/apt/sources.list.d/docker.sources"
        ),
        UPDATE,
        (
            f"{INSTALL} iptables ca-certificates docker-ce docker-ce-cli containerd.io docker-compose-plugin "
            "docker-buildx-plugin"
        ),
    ]
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


RIGHT = f"daemon_json {json.dumps(OURS)}"
# What a bare host's file has besides: tests/operations/test_daemon_ranges.py.
RANGES = {"bip": "10.207.127.1/24", "default-address-pools": [{"base": "10.207.128.0/17", "size": 24}]}
INSTALLED = [*MACHINE[:9], "enabled yes", "engine 26.1.5", "compose 2.26.1", "buildx 0.13.1", RIGHT]


def engine(lines: list[str]) -> list[str]:
    with fake({"/etc/os-release": lines}):
        return [str(command).partition("\n")[0] for command in commands(docker.engine)]


def test_a_docker_that_is_right_is_left_alone() -> None:
    assert engine(INSTALLED) == []


def test_settings_newer_than_the_daemon_restart_it() -> None:
    assert engine([*INSTALLED, "stale yes"]) == ["systemctl restart docker.service"]


def test_settings_that_others_may_write_are_closed_without_a_restart() -> None:
    with fake({"/etc/os-release": [*INSTALLED, "loose yes"]}):
        [command] = map(str, commands(docker.engine))
    assert command.splitlines()[-1] == "shut /etc/docker/daemon.json 644"


def test_settings_that_are_right_and_sources_of_what_is_there_are_left_alone() -> None:
    sources = ["/etc/apt/keyrings/docker.asc", "/etc/apt/sources.list.d/docker.sources"]
    for lines, expected in (
        (INSTALLED, ["/etc/docker/daemon.json", *sources]),
        ([line for line in INSTALLED if "buildx" not in line], ["/etc/docker/daemon.json"]),
        ([line for line in INSTALLED if line != RIGHT], sources),
    ):
        with fake({"/etc/os-release": lines}):
            assert list(docker.left_alone(known(MachineFact))) == expected


def test_a_disabled_or_stopped_docker_is_started() -> None:
    start = ["systemctl enable --now docker.service"]
    assert engine([line for line in INSTALLED if line != "enabled yes"]) == start
    assert engine([line.replace("engine 26.1.5", "engine ") for line in INSTALLED]) == start


def test_missing_compose_or_buildx_is_installed() -> None:
    for key in ("compose", "buildx"):
        assert engine([line for line in INSTALLED if not line.startswith(key)]) == ["set -e"]


def test_a_bare_host_gets_settings_first_then_the_packages_and_no_restart() -> None:
    with fake({"/etc/os-release": MACHINE[:9]}, executing=False):
        write, install, start = commands(docker.engine)
    assert json.loads(stdin(write)) == {**OURS, **RANGES}
    assert str(write) == docker._WRITE_DAEMON
    assert str(install) == docker.install(Machine(system="debian"), "distribution")
    assert str(start) == "systemctl enable --now docker.service"


def test_edited_settings_are_mended_and_the_daemon_restarted() -> None:
    with fake({"/etc/os-release": [*INSTALLED[:-1], 'daemon_json {"ipv6": true}']}):
        write, restart = commands(docker.engine)
    assert json.loads(stdin(write)) == {"ipv6": True, **OURS}
    assert str(restart) == "systemctl restart docker.service"


def test_an_install_after_which_docker_does_not_answer_fails_the_host() -> None:
    with fake({"/etc/os-release": MACHINE[:9]}) as host:
        *_, failure = commands(docker.engine)
        assert failure.function(host.state, host) is False

"""Docker: the install is exact and never replaces an engine, a restart only when it is due."""

import json
import subprocess
from base64 import b64encode

from tasks import docker
from tasks.facts import Machine
from tasks.operations import apt, daemon, survey
from tasks.operations.kept import keep
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake, stdin
from tests.operations.test_apt import WHY
from tests.operations.test_daemon import OURS

INSTALL = "apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends --no-remove"
PLUGINS = ["docker-compose-plugin", "docker-buildx-plugin"]


def lines(text: str) -> list[str]:
    """The script after the shell that explains a failure, which every install has."""
    assert text.startswith(WHY + "\n")
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
    return text.removeprefix(WHY + "\n").splitlines()


def test_packages_of_the_distribution_are_installed_and_none_is_removed() -> None:
    names = ["docker.io", "docker-cli"]
    assert lines(docker.install(Machine(system="debian", release="13"), names, "distribution")) == [
        "set -e",
        "export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1",
        apt.UPDATE,
        (
            f"{INSTALL} iptables ca-certificates docker.io docker-cli || "
            "{ why iptables ca-certificates docker.io docker-cli >&2; exit 1; }"
        ),
    ]


def test_upstreams_packages_come_with_their_signed_source_where_no_source_has_them() -> None:
    assert lines(docker.install(Machine(system="debian", release="12"), PLUGINS, "docker.com")) == [
        "set -e",
        "export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1",
        apt.UPDATE,
        "if ! apt-cache policy docker-compose-plugin | grep -q 'Candidate: [0-9]'; then",
        "if grep -qsE '^(deb|URIs:).*://download[.]docker[.]com/' /etc/apt/sources.list /etc/apt/sources.list.d/*; then",
        "    why docker-compose-plugin >&2",
        '    echo "apt has a source of docker.com\'s, but not docker-compose-plugin from it" >&2',
        "    exit 1",
        "fi",
        f"{INSTALL} ca-certificates curl",
        "install -d -m 755 /etc/apt/keyrings",
        *keep(["/etc/apt/keyrings/docker.asc", "/etc/apt/sources.list.d/docker.sources"]).splitlines(),
        "curl -fsSL https://download.docker.com/linux/debian/gpg -o /etc/apt/keyrings/docker.asc",
        ". /etc/os-release",
        (
            "printf '%s\\n' 'Types: deb' 'URIs: https://download.docker.com/linux/debian' "
            "\"Suites: $VERSION_CODENAME\" 'Components: stable' 'Signed-By: /etc/apt/keyrings/docker.asc' "
            "> /etc/apt/sources.list.d/docker.sources"
        ),
        apt.UPDATE,
        "fi",
        (
            f"{INSTALL} iptables ca-certificates docker-compose-plugin docker-buildx-plugin || "
            "{ why iptables ca-certificates docker-compose-plugin docker-buildx-plugin >&2; exit 1; }"
        ),
    ]


def settings(text: str) -> str:
    """The line that the fact prints of a daemon.json."""
    return f"daemon_json {b64encode(text.encode()).decode()}"


RIGHT = settings(json.dumps(OURS))
# What a bare host's file has besides: tests/operations/test_daemon_ranges.py.
RANGES = {"bip": "10.207.127.1/24", "default-address-pools": [{"base": "10.207.128.0/17", "size": 24}]}
INSTALLED = [
    *MACHINE[:9], "deployed yes", "enabled yes", "engine 26.1.5", "compose 2.26.1", "buildx 0.13.1", RIGHT,
]  # fmt: skip
RESTART = daemon.restarted("systemctl restart docker.service")
START = daemon.restarted("systemctl enable --now docker.service")
HERE = "package docker.io 26.1.5"
CLIENT = "program docker /usr/bin/docker docker-cli"


def engine(machine: list[str], before: list[str] | None = None) -> list[str]:
    with fake({"/etc/os-release": machine, "cat /etc/apt/preferences": before or [HERE, CLIENT]}):
        return [str(command) for command in commands(docker.engine)]


def test_a_docker_that_is_right_is_left_alone() -> None:
    assert engine(INSTALLED) == []


def test_settings_newer_than_the_daemon_restart_it() -> None:
    assert engine([*INSTALLED, "stale yes"]) == [RESTART]


def test_settings_that_others_wrote_and_do_not_use_yet_restart_nothing() -> None:
    assert engine([*(line for line in INSTALLED if line != "deployed yes"), "stale yes"]) == []


def test_settings_that_a_killed_run_has_not_proven_restart_it() -> None:
    assert engine([*(line for line in INSTALLED if line != "deployed yes"), "unproven yes"]) == [RESTART]


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
            assert list(survey.left_alone()) == expected


def test_a_disabled_or_stopped_docker_is_started() -> None:
    assert engine([line for line in INSTALLED if line != "enabled yes"]) == [START]
    assert engine([line.replace("engine 26.1.5", "engine ") for line in INSTALLED]) == [START]


def test_a_missing_plugin_alone_is_installed_from_where_the_engine_came_from() -> None:
    without = [line for line in INSTALLED if not line.startswith("compose")]
    machine = Machine(system="debian")
    assert engine(without) == [docker.install(machine, ["docker-compose"], "distribution")]
    upstream = ["package docker-ce 5:28.0.1-1", CLIENT]
    assert engine(without, upstream) == [docker.install(machine, ["docker-compose-plugin"], "docker.com")]


def test_a_bare_host_gets_settings_first_then_the_packages_and_no_restart() -> None:
    with fake({"/etc/os-release": MACHINE[:9]}, executing=False):
        trial, proof, end, write, install, start = commands(docker.engine)
    assert str(trial).splitlines()[-4:] == [
        "ip link delete smarteros-try 2>/dev/null || true",
        "ip link add smarteros-try type bridge",
        "ip address add 10.207.127.1/24 dev smarteros-try",
        "ip link set smarteros-try up",
    ]
    assert "systemd-run --quiet --on-active=90 " in str(trial)
    assert type(proof).__name__ == "FunctionCommand"
    assert str(end).splitlines()[-1] == "ip link delete smarteros-try 2>/dev/null || true"
    assert json.loads(stdin(write)) == {**OURS, **RANGES}
    assert str(write) == daemon.write(())
    names = ["docker.io", "docker-cli", "docker-compose", "docker-buildx"]
    assert str(install) == docker.install(Machine(system="debian"), names, "distribution")
    assert str(start) == START


def test_a_docker_that_moves_is_restarted_once_its_new_range_has_let_somebody_in() -> None:
    around = ("route 172.17.0.0/16 dev eth1", "inet docker0 172.17.0.1/16")
    with fake({"/etc/os-release": [*INSTALLED, *around]}):
        trial, _, _, write, restart = commands(docker.engine)
    assert "ip address add 10.207.127.1/24 dev smarteros-try" in str(trial).splitlines()
    assert json.loads(stdin(write))["bip"] == "10.207.127.1/24"
    assert str(restart) == RESTART
    moved = [settings(json.dumps({**OURS, **RANGES})), "inet docker0 10.207.127.1/24"]
    assert engine([*INSTALLED[:-1], *moved, "stale yes"]) == [RESTART]


def test_edited_settings_are_mended_and_the_daemon_restarted() -> None:
    with fake({"/etc/os-release": [*INSTALLED[:-1], settings('{"ipv6": true, "icc": true}')]}):
        write, restart = commands(docker.engine)
    assert json.loads(stdin(write)) == {"ipv6": True, **OURS}
    assert str(restart) == RESTART


def test_what_the_host_has_decided_otherwise_is_noted_and_stays() -> None:
    used = [line for line in INSTALLED[:-1] if line != "deployed yes"]
    with fake(
        {"/etc/os-release": [*used, settings('{"icc": true}')], "cat /etc/apt/preferences": [HERE, CLIENT]}
    ):
        note, write, restart = commands(docker.engine)
    assert str(note) == "mkdir -p /opt/smarteros && printf '%s\\n' icc >/opt/smarteros/docker-left"
    assert json.loads(stdin(write)) == {**OURS, "icc": True}
    assert str(restart) == RESTART
    left = [*INSTALLED[:-1], settings(json.dumps({**OURS, "icc": True})), "docker_left icc"]
    assert engine(left) == []


def test_guests_on_a_bridge_are_not_shown_to_firewalls() -> None:
    used = [line for line in INSTALLED[:-1] if line != "deployed yes"]
    with fake({"/etc/os-release": [*used, "bridged br0 vnet0"], "cat /etc/apt/preferences": [HERE, CLIENT]}):
        note, write, _ = commands(docker.engine)
    assert str(note) == "mkdir -p /opt/smarteros && printf '%s\\n' icc >/opt/smarteros/docker-left"
    assert json.loads(stdin(write)) == {key: value for key, value in OURS.items() if key != "icc"}


def test_where_containers_of_others_run_the_settings_are_left_alone_and_nothing_restarts() -> None:
    used = [line for line in INSTALLED[:-1] if line != "deployed yes"]
    (note,) = engine(used, [HERE, CLIENT, "other no|false|shop-web"])
    assert note == (
        "mkdir -p /opt/smarteros && printf '%s\\n' default-ulimits icc log-driver log-opts no-new-privileges "
        ">/opt/smarteros/docker-left"
    )
    kept = [f"docker_left {key}" for key in OURS]
    assert engine([*used, *kept], [HERE, CLIENT, "other no|false|shop-web"]) == []
    assert engine([*used, *kept, "deployed yes"]) == []


def test_an_install_after_which_docker_does_not_answer_fails_the_host() -> None:
    with fake({"/etc/os-release": MACHINE[:9]}) as host:
        *_, failure = commands(docker.engine)
        assert failure.function(host.state, host) is False

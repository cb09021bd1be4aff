"""Survey: what a host had, from the lines that it prints; and shell that a host can run."""

import subprocess

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.engine import Engine, Other
from tasks.facts.packages import Packages
from tasks.facts.pulling import Pulling
from tasks.facts.survey import Mount, Survey, SurveyFact, ValidFact

LINES = [
    "package docker.io 26.1.5+dfsg1-9",
    "program docker /usr/bin/docker docker-cli",
    "program dockerd /usr/local/bin/dockerd ",
    "rootless bob",
    "agent k3s.service",
    "unit LoadState=loaded",
    "unit ActiveState=failed",
    "flag -H",
    "flag fd://",
    "words failed to start daemon: no",
    "info true|active|true|/srv/docker|containerdcontainerd",
    "driver overlayfs",
    "swarm_service shop",
    "other |false|web",
    "other on-failure|true|job",
    "installed nftables",
    "held docker.io",
    "pinned nftables /etc/apt/preferences.d/x",
    "pinned iptables ",
    "sources Malformed entry 1 in list file /etc/apt/sources.list.d/x.list (Suite)",
    "proxy http://127.0.0.1:9|/etc/apt/apt.conf.d/01proxy",
    "mount /srv/docker 2049 ext4 rw,noexec",
    "pull_proxy http://127.0.0.1:9|/etc/docker/daemon.json",
    "pull_helper |desktop|/root/.docker/config.json",
]


def test_a_host_that_people_have_used_is_read() -> None:
    assert SurveyFact().process(LINES) == Survey(
        Engine(
            packages={"docker.io": "26.1.5+dfsg1-9"},
            programs={
                "docker": ("/usr/bin/docker", "docker-cli"),
                "dockerd": ("/usr/local/bin/dockerd", ""),
            },
            rootless=("bob",),
            agents=("k3s.service",),
            unit={"LoadState": "loaded", "ActiveState": "failed"},
            flags=("-H", "fd://"),
            words="failed to start daemon: no",
            root="/srv/docker",
            driver="overlayfs",
            images="containerd",
            live_restore=True,
            swarm="manager",
            swarm_services=("shop",),
            others=(Other("web", "no", temporary=False), Other("job", "on-failure", temporary=True)),
        ),
        Packages(
            held=frozenset(["docker.io"]),
            installed=frozenset(["nftables"]),
            pinned={"nftables": "/etc/apt/preferences.d/x", "iptables": ""},
            sources=("Malformed entry 1 in list file /etc/apt/sources.list.d/x.list (Suite)",),
            proxies=("http://127.0.0.1:9|/etc/apt/apt.conf.d/01proxy",),
        ),
        (Mount("/srv/docker", "ext4", ("rw", "noexec"), "2049"),),
        Pulling(("http://127.0.0.1:9|/etc/docker/daemon.json",), ("|desktop|/root/.docker/config.json",)),
    )


def test_a_folder_may_have_any_name() -> None:
    found = SurveyFact().process(
        ["info false|inactive|false|/srv/my |docker|", "mount /srv/my docker 2049 ext4   rw,relatime"]
    )
    assert found.engine.root == "/srv/my |docker"
    assert found.mounts == (Mount("/srv/my docker", "ext4", ("rw", "relatime"), "2049"),)


def test_a_bare_host_had_nothing() -> None:
    assert SurveyFact().process([]) == Survey()
    assert SurveyFact().process(["info ||||"]) == Survey()


@pytest.mark.parametrize("line", ["mount /srv/docker 2049", "other no", "info true|", "unit what"])
def test_a_line_that_is_cut_is_no_answer(line: str) -> None:
    with pytest.raises(FactProcessError, match="cannot read what the host had before"):
        SurveyFact().process([line])


def test_the_shell_is_valid_and_answers_here() -> None:
    text = SurveyFact().command(("iptables", "nftables"), ("/var/lib/docker", "/nowhere/at/all"))
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
    found = SurveyFact().process(done.stdout.splitlines())
    assert [mount.path for mount in found.mounts] == ["/var/lib/docker", "/nowhere/at/all"]


def test_dockerd_is_asked_with_its_flags() -> None:
    assert ValidFact().command('{"icc": false}', ("-H", "fd://")) == (
        "command -v dockerd >/dev/null || exit 0\n"
        "said=$(printf '%s\\n' '{\"icc\": false}' | dockerd -H fd:// --validate --config-file /dev/stdin 2>&1) || "
        "printf '%s\\n' \"$said\" | grep -v '^See ' | tail -n 1 | sed 's|.*with file /dev/stdin: ||'"
    )
    assert ValidFact().process([]) == ""
    assert ValidFact().process(["unknown: a"]) == "unknown: a"

"""Survey: what a host had, from the lines that it prints; and shell that a host can run."""

import subprocess
from pathlib import Path

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.engine import Engine, Other
from tasks.facts.packages import PINNING, Packages
from tasks.facts.pulling import Pulling
from tasks.facts.survey import Mount, Survey, SurveyFact, ValidFact

LINES = [
    "package docker.io 26.1.5+dfsg1-9",
    "program docker /usr/bin/docker docker-cli",
    "program dockerd /usr/local/bin/dockerd ",
    "rootless bob",
    "agent k3s.service",
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
    "unmet shop : Depends: libold but it is not installable",
    "mended yes",
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
            unit={"ActiveState": "failed"},
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
            unmet=("shop : Depends: libold but it is not installable",),
            mended=True,
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


def pinning(folder: Path, text: str, name: str, *unknown: str) -> str:
    """The file that keeps a package out, where this is one of the preferences."""
    folder = folder / "preferences.d"
    folder.mkdir(exist_ok=True)
    (folder / "a-fine").write_text("Package: *\nPin: release a=unstable\nPin-Priority: 100\n")
    (folder / "own").write_text(text)
    script = PINNING.replace("/etc/apt/", f"{folder.parent}/")
    words = ["sh", "-c", f"{script}\npinning {name} {' '.join(unknown)}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip().rpartition("/")[2]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Package: docker.io\nPin: release *\nPin-Priority: -1\n", "own"),
        (
            "# no\nPackage: src:docker.io:any\nPin: release *\nPin-Priority: -1\n\nPackage: *\nPin: version *\nPin-Priority: -10\n",
            "own",
        ),
        ('Package: nano docker*\nPin-Priority: -1\nPin: origin "*"\n', "own"),
        ("Package: dockerXio docker docker.io-doc\nPin: release *\nPin-Priority: -1\n", ""),
        ("Package: docker.io\nPin: release *\nPin-Priority: 990\n", ""),
    ],
)
def test_a_file_that_keeps_a_package_out_is_found(tmp_path: Path, text: str, found: str) -> None:
    assert pinning(tmp_path, text, "docker.io", "unknown") == found


def test_where_apt_has_no_lists_only_what_keeps_out_every_version_counts(tmp_path: Path) -> None:
    text = "Package: *\nPin: release a=unstable\nPin-Priority: -10\n"
    assert pinning(tmp_path, text, "docker.io", "unknown") == ""
    assert pinning(tmp_path, text, "docker.io") == "own"

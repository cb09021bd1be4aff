"""Daemon: what the host's people wrote stays, the rest is ours; what Docker does not come back with goes again."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.facts.engine import Engine, Other
from tasks.operations import daemon
from tasks.run import Refused

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
OTHERS = (
    Other("web", "always", temporary=False),
    Other("db", "no", temporary=False),
    Other("job", "no", temporary=True),
)


def test_a_bare_host_gets_our_settings() -> None:
    assert json.loads(daemon.wanted(daemon.parsed(""), ())) == OURS


def test_settings_that_are_right_are_not_written() -> None:
    assert daemon.wanted({**OURS, "ipv6": True}, ()) == ""


@pytest.mark.parametrize(
    ("have", "flags", "theirs"),
    [
        ({}, (), set()),
        (
            {
                "data-root": "/srv/docker",
                "dns": ["10.0.0.1"],
                "live-restore": True,
                "storage-driver": "btrfs",
            },
            (),
            set(),
        ),
        ({"log-driver": "journald"}, (), {"log-driver", "log-opts"}),
        ({"log-driver": "json-file"}, (), set()),
        ({"log-opts": {"max-size": "50m"}}, (), {"log-opts"}),
        ({"icc": True, "no-new-privileges": False}, (), {"icc", "no-new-privileges"}),
        ({}, ("-H", "fd://", "--icc=false", "--log-opt", "max-size=5m"), {"icc", "log-opts"}),
        ({}, ("--default-ulimit=nofile=1024", "-D"), {"default-ulimits"}),
    ],
)
def test_what_a_host_has_decided_itself_stays(
    have: dict[str, Any], flags: tuple[str, ...], theirs: set[str]
) -> None:
    found = daemon.left(have, Engine(flags=flags))
    assert found == theirs
    merged = json.loads(daemon.wanted(have, found))
    assert merged == {**{key: value for key, value in OURS.items() if key not in theirs}, **have}


def test_where_containers_of_others_run_all_of_it_stays() -> None:
    assert daemon.left({}, Engine(others=OTHERS)) == set(OURS)
    assert daemon.wanted({"dns": ["10.0.0.1"]}, set(OURS)) == ""


KNOWS = "(it knows no comments, no comma after the last entry, no byte order mark): mend or remove it"
NAME = "/etc/docker/daemon.json"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            '{\n  "icc": false, // ours\n}',
            f"is no JSON: line 2, column 17: Expecting property name enclosed in double quotes {KNOWS}",
        ),
        (
            '{\n  "icc": false,\n}',
            f"is no JSON: line 3, column 1: Expecting property name enclosed in double quotes {KNOWS}",
        ),
        ("\ufeff{}", f"is no JSON: line 1, column 1: Unexpected UTF-8 BOM (decode using utf-8-sig) {KNOWS}"),
        ('{"a": "\ufffd"}', "is no UTF-8: mend or remove it"),
        ("[]", "is no JSON object, which begins with {: mend or remove it"),
        ("null", "is no JSON object, which begins with {: mend or remove it"),
        (
            "[" * 100_000,
            "is no JSON: maximum recursion depth exceeded while decoding a JSON array from a unicode string: mend or remove it",
        ),
    ],
)
def test_a_file_that_is_no_json_is_refused_with_the_line(text: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        daemon.parsed(text)
    assert str(refused.value) == f"{NAME} {why}"


FD = ("-H", "fd://", "--containerd=/run/containerd/containerd.sock")


@pytest.mark.parametrize(
    ("have", "flags", "lines"),
    [
        ({"data-root": "/srv/docker", "bridge": "none", "dns": ["10.0.0.1"], "ip6tables": False}, FD, []),
        (
            {"iptables": False},
            FD,
            [
                (
                    f'docker: "iptables": false in {NAME}: containers could not reach the world, nor be reached: take it '
                    "out, or take another host"
                )
            ],
        ),
        (
            {},
            (*FD, "--iptables=false"),
            [
                (
                    'docker: "iptables": false in the command line of docker.service: containers could not reach the world, '
                    "nor be reached: take it out, or take another host"
                )
            ],
        ),
        (
            {"ip-masq": False},
            FD,
            [
                (
                    f'docker: "ip-masq": false in {NAME}: containers could not reach the world: take it out, or take '
                    "another host"
                )
            ],
        ),
        (
            {"userns-remap": "default"},
            FD,
            [
                (
                    'docker: "userns-remap" gives containers other users than the host has, and this stack shares files '
                    "with them by their numbers: take it out, or take another host"
                )
            ],
        ),
        (
            {"hosts": ["tcp://127.0.0.1:2375"], "debug": True},
            (*FD, "-D"),
            [
                (
                    f'docker: "debug" stands in {NAME}, and -D in the command line of docker.service: Docker does not start '
                    "with both: take one out"
                ),
                (
                    f'docker: "hosts" stands in {NAME}, and -H in the command line of docker.service: Docker does not start '
                    "with both: take one out"
                ),
            ],
        ),
    ],
)
def test_what_docker_or_the_stack_cannot_live_with_is_named(
    have: dict[str, Any], flags: tuple[str, ...], lines: list[str]
) -> None:
    assert list(daemon.problems(have, flags)) == lines


def test_who_a_restart_stops_for_good_and_who_it_removes() -> None:
    assert daemon.stopped(Engine(others=OTHERS)) == (["db"], ["job"])
    assert daemon.stopped(Engine(others=OTHERS, live_restore=True)) == ([], [])


# The shell, for real, with stand-ins for Docker that a test can make fail


PROGRAMS = {
    "dockerd": 'for word; do last=$word; done\ngrep -q nonsense "$last" && { echo "what is nonsense" >&2; exit 1; }\nexit 0',
    "systemctl": """
case "$*" in
restart*|enable*|start*)
    touch running
    for c in web db; do rm -f up-$c; done
    touch up-web
    grep -qs fails daemon.json && { rm running; exit 1; }
    exit 0 ;;
esac""",
    "journalctl": 'echo "level=info msg=nothing"; echo "failed to start daemon: it fails"; echo "docker.service: Failed"',
    "docker": """
case "$1" in
version) [ -e running ] ;;
ps) ls | sed -n 's/^up-//p' ;;
inspect) for id; do :; done
    case "$*" in
    *Created*) shift 4; for id; do echo "2026-01-01 $id"; done ;;
    *) [ -e "up-$id" ] && echo "$id true" || echo "$id false" ;;
    esac ;;
start) [ ! -e never-$2 ] && touch "up-$2" ;;
esac""",
    "sleep": "exit 0",
}


def host(folder: Path, settings: str = "") -> Path:
    """A host whose Docker runs, with two containers of others; the first comes back by itself."""
    (folder / "bin").mkdir()
    for name, text in PROGRAMS.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "bin" / name).chmod(0o755)
    docker = folder / "docker"
    docker.mkdir()
    for name in ("running", "up-web", "up-db"):
        (docker / name).touch()
    if settings:
        (docker / "daemon.json").write_text(settings)
    return docker


def sh(folder: Path, script: str, text: str = "") -> tuple[int, str]:
    moved = script.replace("/etc/docker", str(folder / "docker")).replace("/run/smarteros-", f"{folder}/run-")
    moved = moved.replace("/var/lib/smarteros", f"{folder}/lib").replace("/opt/smarteros", f"{folder}/opt")
    path = f"{folder}/bin:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", "-c", moved], input=text, text=True, capture_output=True, check=False,
        env={"PATH": path}, cwd=folder / "docker" if (folder / "docker").exists() else folder,
    )  # fmt: skip
    return done.returncode, done.stderr.strip()


RESTART = daemon.restarted("systemctl restart docker.service")


def files(docker: Path) -> dict[str, str]:
    return {
        path.name: path.read_text()
        for path in docker.iterdir()
        if "daemon" in path.name or "said" in path.name
    }


def test_settings_that_do_not_arrive_whole_leave_the_file_as_it_was(tmp_path: Path) -> None:
    docker = host(tmp_path, "{}")
    settings = daemon.wanted({}, ())
    for length in range(0, len(settings), 7):
        assert sh(tmp_path, daemon.write(()), settings[:length])[0] == 1
        assert (docker / "daemon.json").read_text() == "{}"
    assert sh(tmp_path, daemon.write(()), f"{settings}\n") == (0, "")
    assert (docker / "daemon.json").read_text() == f"{settings}\n"


def test_settings_that_dockerd_does_not_take_are_never_in_place(tmp_path: Path) -> None:
    docker = host(tmp_path, "{}")
    assert sh(tmp_path, daemon.write(FD), '{"nonsense": 1\n}\n') == (1, "what is nonsense")
    assert files(docker) == {"daemon.json": "{}"}


def test_a_restart_that_succeeds_leaves_everybody_running(tmp_path: Path) -> None:
    docker = host(tmp_path, "{}")
    assert sh(tmp_path, daemon.write(FD), '{"icc": false\n}\n') == (0, "")
    assert files(docker) == {"daemon.json": '{"icc": false\n}\n', ".daemon.json.before": "{}"}
    assert sh(tmp_path, RESTART) == (0, "")
    assert files(docker) == {"daemon.json": '{"icc": false\n}\n'}
    assert (docker / "up-db").exists()


def test_a_file_of_a_clock_that_was_ahead_is_not_newer_than_docker_after_a_restart(tmp_path: Path) -> None:
    file = host(tmp_path, "{}") / "daemon.json"
    for seconds in (86400, -86400):
        written = time.time() + seconds
        os.utime(file, (written, written))
        assert sh(tmp_path, RESTART) == (0, "")
        assert file.stat().st_mtime <= time.time()
    assert abs(file.stat().st_mtime - written) < 1  # one of before stays as it is


@pytest.mark.parametrize("before", ["{}", ""])
def test_a_docker_that_does_not_come_back_gets_its_old_file_back(tmp_path: Path, before: str) -> None:
    docker = host(tmp_path, before)
    assert sh(tmp_path, daemon.write(FD), '{"fails": 1\n}\n') == (0, "")
    assert sh(tmp_path, RESTART) == (
        1,
        "Docker does not start: failed to start daemon: it fails; /etc/docker/daemon.json is as it was before, and "
        "Docker runs again".replace("/etc/docker", str(docker)),
    )
    assert files(docker) == ({"daemon.json": before} if before else {})
    assert (docker / "running").exists()
    assert (docker / "up-db").exists()


def test_what_a_killed_run_wrote_goes_back_to_what_was_proven(tmp_path: Path) -> None:
    docker = host(tmp_path, "{}")
    assert sh(tmp_path, daemon.write(FD), '{"fails": 1\n}\n') == (0, "")
    assert sh(tmp_path, daemon.write(FD), '{"fails": 2\n}\n') == (0, "")
    assert sh(tmp_path, RESTART)[0] == 1
    assert files(docker) == {"daemon.json": "{}"}


def test_a_container_that_does_not_start_again_is_named(tmp_path: Path) -> None:
    docker = host(tmp_path, "{}")
    (docker / "never-db").touch()
    assert sh(tmp_path, RESTART) == (1, "db does not start again")


def test_who_ran_before_a_killed_restart_is_remembered(tmp_path: Path) -> None:
    docker = host(tmp_path, "{}")
    (docker / "up-db").unlink()
    (tmp_path / "run-others").write_text("db\n")
    assert sh(tmp_path, RESTART) == (0, "")
    assert (docker / "up-db").exists()
    assert not (tmp_path / "run-others").exists()


def test_a_daemon_that_publishes_on_one_address_only_is_refused() -> None:
    line = (
        'docker: "ip" in /etc/docker/daemon.json or the command line of docker.service binds what containers publish to one '
        "address, so that the world would not reach Caddy: take it out (the firewall of this stack lets in only what is "
        "meant to be)"
    )
    assert list(daemon.problems({"ip": "127.0.0.1"}, [])) == [line]
    assert list(daemon.problems({}, ["--ip=127.0.0.1"])) == [line]
    assert list(daemon.problems({"ip": "0.0.0.0"}, [])) == []

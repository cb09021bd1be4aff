"""Shells of facts that ask about many files with few programs: what they print, from files and answers that are real."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tasks.facts import DockerFact, LoadedCaddyfileFact, MachineFact, question
from tasks.facts.machine import QUESTIONS
from tasks.facts.proxy import UNKNOWN
from tasks.facts.stores import stores
from tests.fake import fake

UNITS = "/etc/systemd/system"


def run(tmp_path: Path, text: str, talks: str = "", **programs: str) -> list[str]:
    """What the shell prints where these programs stand in the place of the host's, over SSH, with this in ~/.bashrc."""
    (tmp_path / ".bashrc").write_text(f"{talks}\n")
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    # bash reads .bashrc for a command where it is the first one that SSH has started.
    ssh = {"SSH_CLIENT": "192.0.2.1 50000 22", "HOME": str(tmp_path), "SHLVL": "0"}
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **ssh}
    done = subprocess.run(["sh", "-c", text], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_our_units_are_files_and_those_of_nobody_else(tmp_path: Path) -> None:
    units = tmp_path / "units"
    (units / "smarteros-a.service.d").mkdir(parents=True)
    for name in ("smarteros-a.service", "smarteros-b.timer", "other.service"):
        (units / name).write_text(name)
    (units / "smarteros-b.timer").chmod(0o600)
    (units / "smarteros-a.service").chmod(0o644)
    (units / "smarteros-masked.service").symlink_to("/dev/null")
    lines = run(tmp_path, f"{QUESTIONS['machine'].replace(UNITS, str(units))}", systemctl="exit 1")
    owner = f"{units.owner()}:{units.group()}"
    assert sorted(line for line in lines if line.startswith("unit ")) == [
        f"unit smarteros-a.service {digest('smarteros-a.service')} 644 {owner}",
        f"unit smarteros-b.timer {digest('smarteros-b.timer')} 600 {owner}",
    ]


def test_a_timer_counts_that_is_enabled_and_active(tmp_path: Path) -> None:
    wanted = tmp_path / "units" / "timers.target.wants"
    wanted.mkdir(parents=True)
    for name in "abc":
        (wanted / f"smarteros-{name}.timer").write_text("")
    (wanted / "smarteros-gone.timer").symlink_to("/nowhere")
    text = QUESTIONS["machine"].replace(UNITS, str(tmp_path / "units"))
    says = 'case "$*" in "is-active smarteros-a.timer smarteros-b.timer smarteros-c.timer") printf "active\\ninactive\\nactive\\n"; exit 3 ;; esac'
    lines = run(tmp_path, text, systemctl=says)
    assert [line for line in lines if line.startswith("timer ")] == [
        "timer smarteros-a.timer",
        "timer smarteros-c.timer",
    ]


def test_where_docker_will_store_is_asked_of_the_folder_above(tmp_path: Path) -> None:
    folder = "/dev/shm/a b/c"
    lines = run(tmp_path, f"{QUESTIONS['stores'].replace('/var/lib/docker}', f'{folder}}}')}\nwait")
    found = stores({"store": [line.removeprefix("store ") for line in lines]})
    assert [item.path for item in found] == ["/var/lib", "/var/lib/containerd", folder]
    devices = [str(Path(path).stat().st_dev) for path in ("/var/lib", "/dev/shm")]
    assert [found[0].device, found[2].device] == devices
    assert all(item.free_mb > 0 for item in found)


def test_what_containers_see_is_hashed_at_once_and_env_files_say_their_digest(tmp_path: Path) -> None:
    root, secrets = tmp_path / "proc", tmp_path / "secrets"
    for path, text in (("etc/x/y z", "one"), ("etc/w", "two")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    secrets.mkdir()
    (secrets / "n8n.env").write_text('A="b/c.env:x"\nSMARTEROS_SECRETS_DIGEST="feedbeef"\n')
    (secrets / "odoo.env").write_text("")
    (secrets / "gone.env").symlink_to("/nowhere")
    mounts = [
        f"m|/n8n|{root}|/etc/x|/opt/smarteros/current/x",
        f"m|/n8n|{root}|/etc/w|/opt/smarteros/current/w",
        f"m|/n8n|{root}|/etc/other|{root}/etc",
        f"m|/n8n|{root}|/etc|{root}/etc",
    ]
    said = "case $1 in ps) echo 1 ;; inspect) printf '%s\\n' '{}' ;; esac".format("' '".join(mounts))
    text = (
        DockerFact()
        .command()
        .replace("/vault/secrets", str(secrets))
        .replace("[ ! -e /opt", "[ -n 1 ] || [ ! -e /opt")
    )
    lines = [line for line in run(tmp_path, text, docker=said) if line[:2] in ("s|", "e|")]
    assert sorted(lines) == sorted(
        [
            f"s|{digest('one')}  {root}/etc/x/y z",
            f"s|{digest('two')}  {root}/etc/w",
            f"s|-  {root}/etc/other/",
            "e|n8n|",
            "e|n8n|feedbeef",
            "e|odoo|",
        ]
    )
    assert DockerFact().process([line for line in lines if line[0] == "e"]).env_digests == {
        "n8n": "feedbeef",
        "odoo": "",
    }


@contextmanager
def caddy(status: int, body: str) -> Iterator[int]:
    """The port of a server that answers as Caddy does where it says what it has loaded."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = status if (self.path, self.headers["Host"]) == ("/", f"127.0.0.1:{port}") else 421
            self.send_response(found)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port = server.server_address[1]
        Thread(target=server.serve_forever, daemon=True).start()
        yield port
        server.shutdown()


ENTERS = '[ "$1 $2 $3" = "--target 4711 --net" ] && shift 3 && exec "$@"'


@pytest.mark.parametrize(("status", "said"), [(200, ["0123456789ab"]), (404, [])])
def test_what_caddy_has_loaded_is_asked_within_its_network(
    tmp_path: Path, status: int, said: list[str]
) -> None:
    with caddy(status, "0123456789ab") as port:
        text = LoadedCaddyfileFact().command("caddy-proxy").replace("2020", str(port))
        assert run(tmp_path, text, docker="echo 4711", nsenter=ENTERS) == said


def test_what_a_login_prints_is_no_part_of_what_caddy_has_loaded(tmp_path: Path) -> None:
    talks = "echo Welcome, root"
    with caddy(200, "0123456789ab") as port:
        text = LoadedCaddyfileFact().command("caddy-proxy").replace("2020", str(port))
        assert run(tmp_path, text, talks, docker="echo 4711", nsenter=ENTERS) == ["0123456789ab"]
    assert run(tmp_path, "bash -c 'echo one'", talks) == ["Welcome, root", "one"], "the trial itself"


@pytest.mark.parametrize(
    ("docker", "nsenter", "said"),
    [
        ("echo 0", ENTERS, [UNKNOWN]),  # it does not run
        ("exit 1", ENTERS, [UNKNOWN]),
        ("echo 4711", "exit 1", [UNKNOWN]),  # its process has gone meanwhile
        ("echo 4711", ENTERS, []),  # it runs, and nothing listens there
    ],
)
def test_a_caddy_that_does_not_run_is_not_one_that_has_loaded_nothing(
    tmp_path: Path, docker: str, nsenter: str, said: list[str]
) -> None:
    text = LoadedCaddyfileFact().command("caddy-proxy").replace("2020", "1")
    assert run(tmp_path, text, docker=docker, nsenter=nsenter) == said


def test_a_caddy_that_is_paused_is_not_known(tmp_path: Path) -> None:
    text = LoadedCaddyfileFact().command("caddy-proxy").replace("timeout 10", "timeout 0.2")
    assert run(tmp_path, text, docker="echo 4711", nsenter="sleep 5") == [UNKNOWN]


def test_the_parts_make_up_the_whole() -> None:
    assert all(part in MachineFact().command() for part in QUESTIONS.values())


def test_a_question_goes_to_the_hosts_own_docker_whose_program_collects_little_garbage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        question, "asked", lambda _target, text, **_: run(tmp_path, text, docker='echo "$DOCKER_HOST $GOGC"')
    )
    monkeypatch.setattr(LoadedCaddyfileFact, "command", lambda _: "docker")
    with fake({}) as host:
        assert question.ask(host, LoadedCaddyfileFact) == "unix:///var/run/docker.sock 400"


def test_an_image_that_came_by_its_digest_is_there_whatever_docker_lists_of_it(tmp_path: Path) -> None:
    """Docker 26 has a row for it; 29 has one without a name, as of the layers of a build, and none at all without --all."""
    mine, other = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    listed = {
        "26": f"i|caddy|<none>|{mine}|sha256:a",
        "29": "i|<none>|<none>|<none>|sha256:a\ni|<none>|<none>|<none>|sha256:b\ni|<none>|<none>|<none>|sha256:a",
    }
    text = (
        DockerFact()
        .command()
        .replace("{ [ ! -e /opt/smarteros/current ]", "true || { [ ! -e /opt/smarteros/current ]")
    )
    for rows in listed.values():
        docker = f"""case "$1 $2 $3" in
"image ls --all") printf '%s\\n' '{rows}' 'i|redis|7|{other}|sha256:c' ;;
"image inspect --format") shift 4; [ "$*" = "sha256:a sha256:b" ] && printf '%s\\n' 'caddy@{mine}' '' '' ;;
esac"""
        found = DockerFact().process(
            [line for line in run(tmp_path, text, docker=docker) if line.startswith("i|")]
        )
        assert {"redis:7", f"redis@{other}", f"caddy@{mine}"} <= found.images
        assert found.digests == {"redis:7": other}


@pytest.mark.parametrize(("made", "deployed"), [("", False), ("link", True), ("folder", True)])
def test_a_host_whose_active_generation_is_gone_is_no_bare_one(
    made: str, tmp_path: Path, *, deployed: bool
) -> None:
    """Else it would be asked for the room of a first deploy, and for what may be in its way."""
    current = tmp_path / "current"
    if made == "link":
        current.symlink_to("generations/away")
    elif made:
        current.mkdir()
    text = QUESTIONS["machine"].replace("/opt/smarteros/current", str(current))
    assert ("deployed yes" in run(tmp_path, text)) == deployed
    behind = QUESTIONS["behind"].replace("/opt/smarteros/current", str(current))
    assert run(tmp_path, f"{behind.splitlines()[0]} echo bare; fi") == ([] if deployed else ["bare"])

"""Facts: exact values from realistic output, FactProcessError for anything else, and commands that are valid sh."""

import hashlib
import os
import re
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import (
    ContainerState,
    DockerFact,
    DockerState,
    FileState,
    LoadedCaddyfileFact,
    Machine,
    MachineFact,
    NetworkState,
    PostgresFact,
    PostgresState,
    RedisFact,
    StatusFact,
    TreeFact,
)
from tasks.facts import machine as room
from tasks.facts.behind import QUESTION as BEHIND
from tasks.facts.drift import Drift
from tasks.facts.listeners import Listener, Published
from tasks.facts.outdated import Outdated
from tasks.facts.pending import PendingFact
from tasks.facts.proxy import UNKNOWN
from tasks.facts.skew import skew
from tasks.facts.stores import Store
from tasks.facts.surroundings import Route, Surroundings
from tasks.rendering import render
from tests.samples import stack

MACHINE = [
    "system debian",
    "release 13",
    "architecture x86_64",
    "init systemd",
    "user root",
    "memory_kb 8119412",
    "cpus 4",
    "disk_kb 71815464",
    "clock 1795413600",
    "deployed yes",
    'listener tcp LISTEN 0 4096 0.0.0.0:80 0.0.0.0:* users:(("docker-proxy",pid=911,fd=7))',
    "broken linux-image-amd64",
    "enabled yes",
    "daemon_json ewogICJuby1uZXctcHJpdmlsZWdlcyI6IHRydWUKfQo=",
    "publisher caddy-proxy caddy 0.0.0.0:80->80/tcp, [::]:80->80/tcp",
    "engine 26.1.5+dfsg1",
    "compose 2.26.1-4",
    "buildx 0.13.1",
    "stale yes",
    "mtu eth0 1450",
    r"inet eth0 203.0.113.7/24 brd 203.0.113.255 scope global eth0\       valid_lft forever preferred_lft forever",
    "route default via 203.0.113.1 dev eth0 proto dhcp src 203.0.113.7 metric 100 ",
    "route 203.0.113.0/24 dev eth0 proto kernel scope link src 203.0.113.7 ",
    "resolver 203.0.113.1",
    "ssh 198.51.100.9",
    "available_kb 2048000",
]


def test_a_machine_is_read() -> None:
    assert replace(MachineFact().process(MACHINE), skew=0) == Machine(
        system="debian",
        release="13",
        architecture="x86_64",
        init="systemd",
        user="root",
        memory_mb=7929,
        available_mb=2000,
        cpus=4,
        disk_free_mb=70132,
        deployed=True,
        listeners=(Listener("tcp", "0.0.0.0", 80, "docker-proxy", 911),),
        published=(
            Published("caddy-proxy", "caddy", "tcp", "0.0.0.0", 80, 80),
            Published("caddy-proxy", "caddy", "tcp", "::", 80, 80),
        ),
        broken_packages=("linux-image-amd64",),
        engine="26.1.5+dfsg1",
        compose="2.26.1-4",
        buildx="0.13.1",
        daemon_json='{\n  "no-new-privileges": true\n}\n',
        daemon_enabled=True,
        daemon_stale=True,
        surroundings=Surroundings(
            {"eth0": 1450},
            (("eth0", IPv4Network("203.0.113.0/24")),),
            (
                Route(IPv4Network("0.0.0.0/0"), "eth0", everybody=True),
                Route(IPv4Network("203.0.113.0/24"), "eth0", everybody=False),
            ),
            (IPv4Address("203.0.113.1"),),
            (IPv4Address("198.51.100.9"),),
        ),
    )


def test_settings_of_docker_that_others_may_write_are_seen() -> None:
    assert MachineFact().process([*MACHINE, "loose yes"]).daemon_loose is True


def test_where_docker_stores_is_seen_and_what_is_left_to_the_host() -> None:
    lines = [
        "store /var/lib 1 2048 10 20",
        "store /srv/a b 2 4096 0 0",
        "docker_left icc",
        "unproven yes",
        "acts 3",
    ]
    machine = MachineFact().process([*MACHINE, *lines])
    assert machine.stores == (Store("/var/lib", "1", 2, 10), Store("/srv/a b", "2", 4, -1))
    assert (machine.docker_left, machine.acts) == (("icc",), 3)
    assert machine.daemon_unproven is True


def test_a_bare_machine_has_no_docker() -> None:
    bare = MachineFact().process(MACHINE[:9])
    assert (bare.engine, bare.compose, bare.deployed, bare.daemon_enabled) == ("", "", False, False)


def test_an_installed_engine_that_is_down_has_no_version() -> None:
    assert MachineFact().process([*MACHINE[:9], "engine ", "compose 2.26.1"]).engine == ""


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "cannot read what the host says of itself: 'system'"),
        (
            [*MACHINE[:5], "memory_kb much", *MACHINE[6:]],
            "cannot read what the host says of itself: invalid literal for int() with base 10: 'much'",
        ),
    ],
)
def test_a_machine_that_says_nothing_of_use_is_an_error(lines: list[str], message: str) -> None:
    with pytest.raises(FactProcessError) as error:
        MachineFact().process(lines)
    assert str(error.value) == message


DOCKER = [
    "c|/n8n|n8n|0123456789ab|feedbeef|running|healthy|0|n8nio/n8n:2.30.8|tenants-net smarter-net ",
    "c|/prepare|crm|aaaaaaaaaaaa||exited||1|crm:1|smarter-net ",
    "n|bridge|bridge|false|172.17.0.0/16 |1500|docker0||",
    "n|smarter-net|bridge|false|172.18.0.0/16 fd00::/64 ||br-0123456789ab|yes|",
    "n|cut|bridge|true|||br-ba9876543210||10.207.0.0/16",
    f"i|n8nio/n8n|2.30.8|sha256:{'1' * 64}",
    f"i|ghcr.io/acme/crm|<none>|sha256:{'2' * 64}",
    "e|n8n|feedbeef",
    "e|odoo|",
]


def test_docker_is_read() -> None:
    n8n = ContainerState(
        "n8n",
        "n8n",
        "0123456789ab",
        "feedbeef",
        "running",
        "healthy",
        0,
        "n8nio/n8n:2.30.8",
        ("smarter-net", "tenants-net"),
    )
    prepare = ContainerState("prepare", "crm", "aaaaaaaaaaaa", "", "exited", "", 1, "crm:1", ("smarter-net",))
    assert DockerFact().process(DOCKER) == DockerState(
        {"n8n": n8n, "prepare": prepare},
        {
            "bridge": NetworkState(
                "bridge", "bridge", internal=False, subnets=("172.17.0.0/16",), mtu="1500", device="docker0"
            ),
            "smarter-net": NetworkState(
                "smarter-net",
                "bridge",
                internal=False,
                subnets=("172.18.0.0/16", "fd00::/64"),
                device="br-0123456789ab",
                ours=True,
            ),
            "cut": NetworkState(
                "cut", "bridge", internal=True, device="br-ba9876543210", pool="10.207.0.0/16"
            ),
        },
        frozenset(
            {
                "n8nio/n8n:2.30.8",
                f"n8nio/n8n@sha256:{'1' * 64}",
                "ghcr.io/acme/crm:<none>",
                f"ghcr.io/acme/crm@sha256:{'2' * 64}",
            }
        ),
        {"n8n": "feedbeef", "odoo": ""},
        digests={"n8nio/n8n:2.30.8": f"sha256:{'1' * 64}"},
    )


def test_the_files_that_a_container_sees_are_those_below_its_own_mounts() -> None:
    found = DockerFact().process(
        [
            "c|/redis|redis|d|s|running|healthy|0|redis:7|smarter-net ",
            "m|/redis|/proc/7/root|/vault/secrets|/vault/secrets",
            "s|-  /proc/7/root/vault/secrets/",
            "m|/redis|/proc/7/root|/etc/redis|/opt/smarteros/current/redis",
            "c|/web|web|d|s|running|healthy|0|web:7|smarter-net ",
            "m|/web|/proc/77/root|/etc/redis|/opt/smarteros/current/web",
            f"s|{'a' * 64}  /proc/7/root/etc/redis/redis.conf",
            f"s|{'b' * 64}  /proc/77/root/etc/redis/a  b",
        ]
    )
    assert {name: state.files for name, state in found.containers.items()} == {
        "redis": {"/etc/redis/redis.conf": "a" * 64, "/vault/secrets/": "-"},
        "web": {"/etc/redis/a  b": "b" * 64},
    }


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["p|/n8n|172.18.0.5", "p|/n8n|172.19.0.9", "p|/crm|172.18.0.7"], "172.18.0.5"),
        (["p|/n8n|", "p|/n8n|fd00::5"], "fd00::5"),
        *(
            ([f"p|/n8n|{text}"], "")
            for text in ("invalid IP", "postgres", "999.1.1.1", "10.0.0.1;reboot", "evil.example")
        ),
        ([], ""),
    ],
)
def test_a_password_goes_to_an_address_only(lines: list[str], address: str) -> None:
    assert DockerFact().process([DOCKER[0], *lines]).containers["n8n"].address == address


@pytest.mark.parametrize(
    "line", ["p|/n8n", "c|/n8n|n8n", "c|/n8n|n8n|0|0|running||many|x|y", "n|only", "e|only", "i", "s|aa"]
)
def test_a_cut_line_of_docker_is_an_error(line: str) -> None:
    with pytest.raises(FactProcessError, match="cannot read what docker prints"):
        DockerFact().process([line])


SHA = "a" * 64


def test_a_tree_is_read() -> None:
    lines = [
        "m|644|root:root||redis/redis.conf",
        "m|777|root:root|generations/0|link",
        "m|600|nobody:1234||with | and space",
        f"s|{SHA}  ./redis/redis.conf",
        f"s|{'b' * 64}  ./with | and space",
        "l|/opt/smarteros/current/caddy/Caddyfile|/root/Caddyfile",
    ]
    assert TreeFact().process(lines) == {
        "redis/redis.conf": FileState(SHA, "644", "root:root"),
        "link": FileState("", "777", "root:root", "generations/0"),
        "with | and space": FileState("b" * 64, "600", "nobody:1234"),
        "/root/Caddyfile": FileState(target="/opt/smarteros/current/caddy/Caddyfile"),
    }


@pytest.mark.parametrize("line", ["m|644", "m|644|root:root|x", "l|only"])
def test_a_cut_line_of_a_tree_is_an_error(line: str) -> None:
    with pytest.raises(FactProcessError, match="cannot read the host's list of files"):
        TreeFact().process([line])


def test_what_postgres_says_is_read() -> None:
    lines = [
        'server|{"roles": {"n8n": {"password": "x", "createdb": false, "super": false, "more": false, "shut": false, "member": [["pg_monitor", "postgres"]]}}, "databases": {}}',
        'extensions|crm|["plpgsql", "vector"]',
        "owned|crm",
        "asked|crm",
        "asked|n8n",
        'dokploy|{"keys": [], "host": "a|b"}',
    ]
    server = {
        "roles": {
            "n8n": {
                "password": "x",
                "createdb": False,
                "super": False,
                "more": False,
                "shut": False,
                "member": [["pg_monitor", "postgres"]],
            }
        },
        "databases": {},
        "extensions": {"crm": ["plpgsql", "vector"]},
    }
    assert PostgresFact().process(lines) == PostgresState(
        server, frozenset({"crm", "n8n"}), frozenset({"crm"}), '{"keys": [], "host": "a|b"}'
    )
    assert PostgresFact().process([]) == PostgresState()


@pytest.mark.parametrize(
    "line", ["FATAL: no", "server|null", "server|[]", "server|5", "extensions|crm", f"server|{'[' * 100000}"]
)
def test_what_psql_never_prints_is_an_error(line: str) -> None:
    with pytest.raises(FactProcessError, match="cannot read what psql prints"):
        PostgresFact().process([line])


# Neither a lock that was not given nor a statement that took too long.
WAITED = ":'LAST_ERROR_SQLSTATE' NOT IN ('55P03', '57014')"


def test_each_database_that_is_there_is_asked_all_at_once_by_one_psql() -> None:
    owned = (("crm", "crm", "SELECT FROM users"), ("erp", "erp", "SELECT FROM people"))
    assert PostgresFact().command(("crm",), owned).splitlines()[-17:] == [
        r"SELECT count(*) > 0 AS there FROM pg_database WHERE datname = 'crm' AND datallowconn \gset",
        r"\if :there",
        r'\connect "dbname=crm user=postgres"',
        r"\set LAST_ERROR_SQLSTATE 00000",
        "SELECT 'extensions', 'crm', coalesce(json_agg(extname), '[]') FROM pg_extension;",
        "SELECT 'owned', 'crm' WHERE EXISTS (SELECT FROM users);",
        f"SELECT 'asked', 'crm' WHERE {WAITED};",
        r"\endif",
        r"SELECT count(*) > 0 AS there FROM pg_database WHERE datname = 'erp' AND datallowconn \gset",
        r"\if :there",
        r'\connect "dbname=erp user=postgres"',
        r"\set LAST_ERROR_SQLSTATE 00000",
        "SELECT 'owned', 'erp' WHERE EXISTS (SELECT FROM people);",
        f"SELECT 'asked', 'erp' WHERE {WAITED};",
        r"\endif",
        r"\q",
        "SQL",
    ]


# Lines that look like a fact's own, and any other.
WORDS = st.sampled_from(
    [
        "c",
        "n",
        "i",
        "e",
        "m|",
        "l|",
        "s|",
        "|",
        "system",
        "memory_kb",
        "cpus",
        " ",
        "0",
        "{",
        "}",
        '"roles"',
        ":",
        "[]",
    ]
)
LINES = st.lists(st.lists(WORDS, max_size=12).map("".join) | st.text(max_size=30), max_size=8)


@pytest.mark.parametrize("fact", [MachineFact, DockerFact, TreeFact, PostgresFact])
@given_settings(max_examples=150, deadline=None)
@given(lines=LINES, extra=st.lists(st.sampled_from(MACHINE + DOCKER), max_size=20))
def test_any_output_is_a_value_or_a_fact_error(fact: Any, lines: list[str], extra: list[str]) -> None:
    try:
        value = fact().process([*extra, *lines])
    except FactProcessError as error:
        value = str(error)
    assert isinstance(value, Machine | DockerState | PostgresState | dict | str)


COMMANDS = [
    MachineFact().command(),
    DockerFact().command(),
    LoadedCaddyfileFact().command("caddy-proxy"),
    TreeFact().command("/opt/it's here"),
    TreeFact().command("/opt/smarteros/current/", ("/root/Caddyfile", "/root/it's")),
    PostgresFact().command((), ()),
    PostgresFact().command(("crm", "erp"), (("crm", "crm", "SELECT FROM users"),), "dokploy"),
    RedisFact().command(),
    PendingFact().command("ssh.service", "it's", ("192.0.2.9", "1", "203.0.113.7", "22")),
]


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_valid_in_every_shell(shell: str, command: str) -> None:
    checked = subprocess.run([shell, "-n"], input=command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def run(command: str, path: str = "") -> list[str]:
    """The command as pyinfra runs it: one argument of sh -c; its end has to be 0."""
    done = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "PATH": path or os.environ["PATH"], "DOCKER_HOST": "unix:///nowhere"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [(1000, 0), (999, 0), (1040, 0), (1100, 60), (900, -99)],
)
def test_how_long_a_host_takes_to_answer_is_no_matter_of_its_clock(clock: int, seconds: int) -> None:
    assert skew(clock, sent=1000.4, answered=1040.2) == seconds


def test_a_machine_that_is_off_says_by_how_much_since_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((1795413563.0, 1795413601.0, 1795413700.0, 1795413701.0))
    monkeypatch.setattr("tasks.facts.machine.time", SimpleNamespace(time=lambda: next(times)))
    assert MachineFact().process(MACHINE).skew == 0
    assert MachineFact().process(MACHINE).skew == -99


def test_a_port_that_goes_while_its_bridge_is_looked_for_is_none(tmp_path: Path) -> None:
    for name in ("stays", "goes"):
        (tmp_path / name / "brport").mkdir(parents=True)
        (tmp_path / name / "tun_flags").touch()
    (tmp_path / "br7").mkdir()
    (tmp_path / "stays/master").symlink_to("../br7")
    lines = run(f"{BEHIND.replace('/sys/class/net', str(tmp_path))}\nwait")
    assert [line for line in lines if line.startswith("bridged ")] == ["bridged br7 stays"]


def test_the_machine_that_tests_run_on_can_be_read() -> None:
    machine = MachineFact().process(run(MachineFact().command()))
    assert machine.architecture == os.uname().machine
    assert machine.cpus >= 1
    assert machine.memory_mb > 500
    assert machine.disk_free_mb > 0
    assert machine.skew == 0
    assert (
        machine.user
        == subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    )
    assert machine.engine == ""  # nothing answers at DOCKER_HOST


# Prints four lines, together more than a pipe's block, with a pause in the middle of each.
TALKS = """#!/bin/sh
case $1 in ps | --audit) ;; *) exit 0 ;; esac
for n in 1 2 3 4; do printf %s "{before}name$n"; sleep {pause}; echo {after}; done
"""


@pytest.mark.parametrize(("kept", "acts"), [("3\n", "3"), ("", "0"), ("\0", "0"), (None, "0")])
def test_up_to_which_act_all_is_done_is_read_also_where_a_power_cut_has_emptied_it(
    tmp_path: Path, kept: str | None, acts: str
) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "current").symlink_to("generations/6f3a")
    if kept is not None:
        (tmp_path / "records" / ".acts").write_text(kept)
    [line] = [line for line in MachineFact().command().splitlines() if 'echo "acts ' in line]
    assert run(line.replace("/opt/smarteros", str(tmp_path))) == [f"acts {acts}"]


@pytest.mark.parametrize("left", ["", '{"noted": "2026', '{"asked": 17'])
def test_what_a_power_cut_has_left_of_what_the_host_found_is_nothing_found_yet(left: str) -> None:
    found = StatusFact().process(["clock 1795757739", f"drift {left}", f"outdated {left}"])
    assert (found.drift, found.outdated) == (Drift(), Outdated())


def test_lines_stay_whole_where_several_programs_print_at_once(tmp_path: Path) -> None:
    after = "a" * 3000
    port = "  0.0.0.0:80->80/tcp"
    for program, before, end, pause in (("docker", "", port, 0.25), ("dpkg", " ", "", 0.2)):
        (tmp_path / program).write_text(TALKS.format(before=before, after=f"'{after}{end}'", pause=pause))
        (tmp_path / program).chmod(0o755)
    machine = MachineFact().process(
        run(MachineFact().command(), path=f"{tmp_path}:{os.environ['PATH']}"),
    )
    names = tuple(f"name{n}{after}" for n in (1, 2, 3, 4))
    assert tuple(item.container for item in machine.published) == names
    assert machine.broken_packages == names


def test_without_docker_there_is_nothing(tmp_path: Path) -> None:
    for tool in ("sh", "cat"):
        (tmp_path / tool).symlink_to(f"/bin/{tool}")
    assert run(DockerFact().command(), path=str(tmp_path)) == []


def test_what_an_image_of_ours_is_built_on_is_read_from_all_generations(tmp_path: Path) -> None:
    said: dict[str, str] = {}
    for base in ("pgvector/pgvector:0.8.7-pg16-bookworm", f"pgvector/pgvector:0.9.0-pg17@sha256:{'a' * 64}"):
        found = stack(
            backup={"endpoint": "https://s3.example.com", "bucket": "copies"},
            overrides={"postgres": {"image": base}},
        )
        files = {path: text for path, text in render.tree(found).items() if path.startswith("dkcompose/")}
        for path, text in files.items():
            file = tmp_path / "generations" / str(len(said)) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        said[yaml.safe_load(files["dkcompose/postgres-deploy.yaml"])["services"]["postgres"]["image"]] = base
    (line,) = [line for line in DockerFact().command().splitlines() if "/generations/" in line]
    state = DockerFact().process(run(line.replace(render.ROOT, str(tmp_path))))
    assert (len(said), state.bases) == (2, said)


def test_what_a_caddy_that_does_not_run_has_loaded_is_not_known() -> None:
    assert run(LoadedCaddyfileFact().command("no-such-container")) == [UNKNOWN]
    assert LoadedCaddyfileFact.default() == ""


def test_a_real_tree_is_read(tmp_path: Path) -> None:
    root, link = tmp_path / "it's", tmp_path / "outer link"
    (root / "a").mkdir(parents=True)
    (root / "a" / "x | y").write_text("text\n")
    (root / "a" / "x | y").chmod(0o640)
    (root / "inner").symlink_to("a")
    link.symlink_to("it's/a")
    found = TreeFact().process(run(TreeFact().command(str(root), (str(link), str(tmp_path / "absent")))))
    stat = (root / "inner").lstat()
    owner = subprocess.run(
        ["stat", "-c", "%U:%G", str(root)], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert stat.st_size == 1
    assert found == {
        "a/x | y": FileState(hashlib.sha256(b"text\n").hexdigest(), "640", owner),
        "inner": FileState("", "777", owner, "a"),
        str(link): FileState(target="it's/a"),
    }


def test_a_folder_that_is_open_to_others_shows_as_one_file_too_many(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(mode=0o755)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    tmp_path.chmod(0o755)
    assert [*TreeFact().process(run(TreeFact().command(str(tmp_path))))] == ["./open/"]
    assert ".//" in TreeFact().process(run(TreeFact().command(str(tmp_path), (), "077")))
    tmp_path.chmod(0o700)
    assert ".//" not in TreeFact().process(run(TreeFact().command(str(tmp_path), (), "077")))


def test_a_tree_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert TreeFact().process(run(TreeFact().command(str(tmp_path / "absent")))) == {}


# How shell, awk and sed print a line's key.
PRINTED = re.compile(r'(?:echo "|print "|\^[/|])([a-z_0-9]+)(?: |",)|[/|]([a-z_0-9]+) [\\&]')


class Read(dict[str, list[str]]):
    """Notes which keys are asked for."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        super().__init__(values)
        self.keys_read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        """Asked for."""
        self.keys_read.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> list[str]:
        """Asked for."""
        self.keys_read.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        """Asked for."""
        self.keys_read.add(str(key))
        return super().__contains__(key)


def test_each_key_is_printed_by_one_question() -> None:
    values: dict[str, list[str]] = {}
    for key, _, value in (line.partition(" ") for line in MACHINE):
        values.setdefault(key, []).append(value)
    read = Read(values)
    room._machine(read)
    printed: dict[str, set[str]] = {}
    for name, question in room.QUESTIONS.items():
        for key in read.keys_read.intersection(chain(*PRINTED.findall(question))):
            printed.setdefault(key, set()).add(name)
    assert {key: names for key, names in printed.items() if len(names) > 1} == {}
    # The rest is put together in the shell.
    left = {key for key in read.keys_read.difference(printed) if not key.startswith("before_")}
    assert left == {"buildx", "compose", "nat4", "nat6", "ssh_port"}

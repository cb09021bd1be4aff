"""Rules: which networks Docker's rules are gone for, and what a run does about it."""

import subprocess
from pathlib import Path

import pytest

from tasks.connection import drafts
from tasks.facts import DockerFact, DockerState, NetworkState
from tasks.facts.rules import QUESTION
from tasks.model.effects import DockerRestart
from tasks.operations import rules
from tests.fake import commands, fake, texts

NAMES = ("smarter-net", "tenants-net")
CORE, TENANTS = "br-0123456789ab", "br-ba9876543210"
LINES = [
    f"n|smarter-net|bridge|false|172.18.0.0/16 ||{CORE}|yes|",
    f"n|tenants-net|bridge|false|172.19.0.0/16 ||{TENANTS}|yes|",
    "n|bridge|bridge|false|172.17.0.0/16 ||docker0||",
]
RIGHT = [f"r|{kind} {bridge}" for kind in ("nat", "forward") for bridge in (CORE, TENANTS)]

IDLE = "r|idle DOCKER-USER (iptables -t filter)"


def state(*lines: str) -> DockerState:
    return DockerFact().process([*LINES, *lines])


@pytest.mark.parametrize(
    ("lines", "gone"),
    [
        (RIGHT, []),
        ([*RIGHT, "r|"], []),
        (["r|"], [*NAMES]),
        (RIGHT[:3], ["tenants-net"]),
        ([*RIGHT, IDLE], []),
        (RIGHT[1:], ["smarter-net"]),
        ([], []),  # no iptables-save: nobody knows
    ],
)
def test_a_network_needs_a_way_out_and_leave_to_take_it(lines: list[str], gone: list[str]) -> None:
    assert rules.missing(state(*lines), [*NAMES, "no-such-net"]) == gone


@pytest.mark.parametrize("chain", ["DOCKER-USER (iptables -t filter)", "DOCKER (iptables -t nat)"])
def test_a_chain_that_nothing_leads_to_is_named_and_healed(
    chain: str, caplog: pytest.LogCaptureFixture
) -> None:
    idle = f"r|idle {chain}"
    machine = ["system debian", "architecture x86_64", "memory_kb 1", "cpus 1", "disk_kb 1", "clock 1"]
    answers = {"docker network ls": [*LINES, *RIGHT, idle], "/etc/os-release": machine}
    assert rules.idle(state(*RIGHT, idle)) == [chain]
    assert rules.idle(state()) == []
    with fake(answers), caplog.at_level("INFO"):
        [restart] = commands(rules.written, NAMES)
        assert "systemctl restart docker.service" in str(restart).splitlines()
    assert f"{chain}: Docker's rules are gone" in caplog.text


def test_what_is_no_bridge_or_leads_nowhere_needs_none() -> None:
    networks = {
        "a": NetworkState("a", "overlay", internal=False, device="br-a"),
        "b": NetworkState("b", "bridge", internal=True, device="br-b"),
    }
    assert rules.missing(DockerState(networks=networks, rules=frozenset()), ["a", "b"]) == []


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("", True),
        ("{}", True),
        ('{"iptables": true}', True),
        ('{"iptables": false}', False),
        ("{", False),
        ("[]", True),
    ],
)
def test_a_docker_that_is_to_write_none_is_left_alone(text: str, writes: bool) -> None:
    assert rules.writes(text) is writes


def test_a_flush_is_healed_by_a_restart_of_docker_and_said(caplog: pytest.LogCaptureFixture) -> None:
    machine = ["system debian", "architecture x86_64", "memory_kb 1", "cpus 1", "disk_kb 1", "clock 1"]
    answers = {"docker network ls": [*LINES, "r|"], "/etc/os-release": machine}
    with fake(answers) as host, caplog.at_level("INFO"):
        restart, failure = commands(rules.written, NAMES)
        assert "systemctl restart docker.service" in str(restart).splitlines()
        assert failure.function(host.state, host) is False
    assert (
        "smarter-net, tenants-net: Docker's rules are gone from the host's firewall (a flush?)" in caplog.text
    )
    assert "Docker writes no rules into the host's firewall for smarter-net, tenants-net" in caplog.text
    with fake({**answers, "docker network ls": [*LINES, *RIGHT]}):
        assert texts(rules.written, NAMES) == []


def test_a_plan_of_it_knows_that_docker_restarts_and_whose_containers_stop() -> None:
    machine = ["system debian", "architecture x86_64", "memory_kb 1", "cpus 1", "disk_kb 1", "clock 1"]
    others = ["other no|false|shop-db", "other always|false|web"]
    for live, restart in (
        ("false", DockerRestart(("shop-db", "web"), ("shop-db",))),
        ("true", DockerRestart()),
    ):
        answers = {
            "docker network ls": [*LINES, "r|"],
            "/etc/os-release": machine,
            "cat /etc/apt/preferences": [*others, f"info {live}|inactive|false|/var/lib/docker|"],
        }
        with fake(answers), drafts.drafting() as steps:
            rules.written(NAMES, name="rules")
            [step] = steps
            assert [item for item in step.effects if isinstance(item, DockerRestart)] == [restart]


# What Docker 26 and 28 write, shortened, with what others have there, too.
OLDER = f"""*nat
-A POSTROUTING -s 172.18.0.0/16 ! -o {CORE} -j MASQUERADE
-A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE
COMMIT
*filter
-A FORWARD -o {CORE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i {CORE} ! -o {CORE} -j ACCEPT
COMMIT
"""
NEWER = f"""*nat
-A POSTROUTING -s 172.18.0.0/16 ! -o {CORE} -j MASQUERADE
COMMIT
*filter
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER-FORWARD -i {CORE} -j ACCEPT
COMMIT
"""
BOTH = [f"r|forward {CORE}", f"r|nat {CORE}"]


@pytest.mark.parametrize(
    ("saved", "lines"),
    [
        (OLDER, ["r|", *BOTH]),
        (NEWER, ["r|", *BOTH]),
        ("", ["r|"]),
        (
            OLDER.replace("*nat\n", "*nat\n:DOCKER - [0:0]\n"),
            ["r|", *BOTH, "r|idle DOCKER (iptables -t nat)"],
        ),
        (
            OLDER.replace(
                "*nat\n", "*nat\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
            ),
            ["r|", *BOTH],
        ),
        (
            NEWER.replace("*filter\n", "*filter\n:DOCKER-USER - [0:0]\n").replace(
                "-A FORWARD -j DOCKER-USER\n", ""
            ),
            ["r|", *BOTH, "r|idle DOCKER-USER (iptables -t filter)"],
        ),
        (NEWER.replace("*filter\n", "*filter\n:DOCKER-USER - [0:0]\n"), ["r|", *BOTH]),
        (OLDER.partition("*filter")[0], ["r|", BOTH[1]]),
        (OLDER.partition("*filter")[2].join(("*filter", "")), ["r|", BOTH[0]]),
        (NEWER.replace("-A FORWARD -j DOCKER-FORWARD\n", ""), ["r|", BOTH[1]]),
        ("# Table `nat' is incompatible, use 'nft' tool.\n", []),
    ],
    ids=[
        "Docker 26",
        "Docker 28",
        "flushed",
        "no way to DOCKER",
        "a way to DOCKER",
        "no way to USER",
        "a way to USER",
        "no filter",
        "no nat",
        "no jump",
        "cannot be read",
    ],
)
def test_what_the_host_has_is_read(tmp_path: Path, saved: str, lines: list[str]) -> None:
    (tmp_path / "saved").write_text(saved)
    for name, text in (
        ("iptables-save", f"cat {tmp_path}/saved"),
        ("ip6tables-save", "exit 1"),
        ("nft", "exit 1"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", f"PATH={tmp_path}:$PATH\n{QUESTION}\nwait"], capture_output=True, text=True, check=True
    )
    assert sorted(done.stdout.splitlines()) == sorted(lines)


def test_version_6_is_read_beside_it(tmp_path: Path) -> None:
    saved = "*filter\n:DOCKER-USER - [0:0]\n-A FORWARD -i br-1 ! -o br-1 -j ACCEPT\nCOMMIT\n"
    (tmp_path / "saved").write_text(saved)
    for name, text in (
        ("iptables-save", "exit 0"),
        ("ip6tables-save", f"cat {tmp_path}/saved"),
        ("nft", "exit 1"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", f"PATH={tmp_path}:$PATH\n{QUESTION}\nwait"], capture_output=True, text=True, check=True
    )
    assert sorted(done.stdout.splitlines()) == [
        "r|",
        "r|idle DOCKER-USER (ip6tables -t filter)",
    ]

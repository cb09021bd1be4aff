"""Networks: a range of our own that is nobody else's, what is kept, what is made anew, and the shell that does it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tasks.connection import drafts
from tasks.facts import DockerFact, MachineFact
from tasks.model.effects import Network
from tasks.operations import networks
from tasks.run import Refused, known
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake, texts
from tests.samples import stack

NAMES = ["smarter-net", "tenants-net"]
SMARTER = "n|smarter-net|bridge|false|10.207.0.0/24 ||br-0123456789ab|yes|10.207.0.0/16"
TENANTS = "n|tenants-net|bridge|false|10.207.1.0/24 ||br-123456789abc|yes|10.207.0.0/16"
OLDER = "n|tenants-net|bridge|false|172.19.0.0/16 ||br-123456789abc|yes|"
THEIRS = "n|tenants-net|bridge|false|172.19.0.0/16 ||br-123456789abc||"
ETHERNET = [line.replace("mtu eth0 1450", "mtu eth0 1500") for line in MACHINE]
WAN = "wan eth0"


def answers(docker: list[str], *around: str, machine: list[str] = ETHERNET) -> Mapping[str, list[str]]:
    """What the facts' commands print."""
    return {"docker ps -aq": docker, "/etc/os-release": [*machine, WAN, *around]}


def made(docker: list[str], *around: str, machine: list[str] = ETHERNET, **settings: Any) -> list[str]:
    """Each network that has to be made, as what and why."""
    with fake(answers(docker, *around, machine=machine), **settings):
        found = networks.planned(
            NAMES,
            known(MachineFact),
            known(DockerFact),
            stack(**settings),
        )
        return [
            f"{item.state.name} {item.state.subnets[0]} {item.state.mtu or '-'}: {item.why}" for item in found
        ]


NEW = "tenants-net {} -: does not exist"


@pytest.mark.parametrize(
    ("docker", "around", "expected"),
    [
        ([SMARTER, TENANTS], [], []),
        ([SMARTER], [], [NEW.format("10.207.1.0/24")]),
        ([SMARTER, "n|other|overlay|true|10.207.1.0/24 ||br-x||"], [], [NEW.format("10.207.2.0/24")]),
        ([SMARTER], ["ssh 10.207.1.200"], [NEW.format("10.207.2.0/24")]),
        ([SMARTER], ["resolver 10.207.1.1", "tunnel 10.207.2.0/23"], [NEW.format("10.207.4.0/24")]),
        ([SMARTER], ["inet eth1 10.207.1.9/24 brd 10.207.1.255"], [NEW.format("10.207.2.0/24")]),
        # Of the release before, and of others: kept where it collides with nothing.
        ([SMARTER, OLDER], ["ssh 172.18.0.5"], []),
        ([SMARTER, THEIRS], ["route 172.16.0.0/12 dev tun0 table 7"], []),
        # Somebody who came in from there is a container, or would not be heard.
        ([SMARTER, OLDER], ["inet br-123456789abc 172.19.0.1/16", "ssh 172.19.0.5"], []),
        ([SMARTER, "n|tenants-net|bridge|false|fd00:7::/64 ||br-123456789abc|yes|"], [], []),
    ],
)  # fmt: skip
def test_a_network_gets_a_range_that_is_nobodys_and_keeps_it(
    docker: list[str], around: list[str], expected: list[str]
) -> None:
    assert made(docker, *around) == expected


@pytest.mark.parametrize(
    ("network", "around", "expected"),
    [
        (
            OLDER,
            ["route 172.16.0.0/12 dev tun0 table 7"],
            "10.207.1.0/24 -: 172.19.0.0/16 is taken, too, by the route to 172.16.0.0/12 over tun0",
        ),
        (
            TENANTS,
            ["resolver 10.207.1.53"],
            "10.207.2.0/24 -: 10.207.1.0/24 is taken, too, by the resolver 10.207.1.53",
        ),
        (
            "n|tenants-net|bridge|false|10.42.0.0/24 ||br-123456789abc|yes|10.42.0.0/16",
            [],
            "10.207.1.0/24 -: network_pools does not name 10.42.0.0/16 any more, where it is from",
        ),
        (
            "n|tenants-net|bridge|false|10.207.7.0/24 |1400|br-123456789abc|yes|10.207.0.0/16",
            [],
            "10.207.7.0/24 -: its MTU is 1400, and the way out has 1500",
        ),
        (TENANTS.replace("false", "true"), [], "10.207.1.0/24 -: is an internal bridge network"),
        (TENANTS.replace("|bridge", "|macvlan"), [], "10.207.1.0/24 -: is a macvlan network"),
    ],
)
def test_what_is_ours_and_wrong_is_made_anew(network: str, around: list[str], expected: str) -> None:
    assert made([SMARTER, network], *around) == [f"tenants-net {expected}"]


@pytest.mark.parametrize("wrong", [THEIRS.replace("|bridge", "|macvlan"), THEIRS.replace("false", "true")])
def test_what_is_not_ours_is_never_made_anew(wrong: str) -> None:
    """Preflight has refused it (namesakes.py)."""
    assert made([SMARTER, wrong]) == []


def test_networks_have_the_mtu_of_the_way_out_where_it_is_small() -> None:
    lines = [SMARTER, TENANTS]
    anew = [
        f"{name} 10.207.{number}.0/24 1450: its MTU is 1500, and the way out has 1450"
        for number, name in enumerate(NAMES)
    ]
    assert made(lines, machine=MACHINE) == anew
    assert made([line.replace(" ||br", " |1450|br") for line in lines], machine=MACHINE) == []
    jumbo = [line.replace("mtu eth0 1500", "mtu eth0 9000") for line in ETHERNET]
    assert made(lines, machine=jumbo) == []
    assert made([], "mtu wg0 1420", wan_interfaces=["wg0"]) == [
        "smarter-net 10.207.0.0/24 1420: does not exist",
        "tenants-net 10.207.1.0/24 1420: does not exist",
    ]


def test_where_no_range_is_left_who_has_them_is_said() -> None:
    with pytest.raises(Refused) as refused:
        made([SMARTER], "route 10.0.0.0/8 dev tun0", network_pools=["10.207.0.0/16", "10.42.0.0/16"])
    assert str(refused.value) == (
        "network_pools: no range is left for smarter-net, all are taken: 10.207.0.0/16 (the route to 10.0.0.0/8 over "
        "tun0), 10.42.0.0/16 (the route to 10.0.0.0/8 over tun0): name another private range"
    )
    with fake(answers([SMARTER], "route 10.0.0.0/8 dev tun0"), network_pools=["10.207.0.0/16"]):
        (line,) = networks.refusals()
    assert line.startswith("network_pools: no range is left for smarter-net")


def test_a_public_range_is_warned_of() -> None:
    with fake({}, network_pools=["10.207.0.0/16", "8.8.0.0/16"]):
        assert list(networks.warnings()) == [
            "network_pools: 8.8.0.0/16 is public: neither host nor containers reach those whose it is"
        ]


def test_what_is_made_is_armed_and_what_was_there_before_is_what_comes_back() -> None:
    with fake(answers([SMARTER, OLDER.replace("|yes|", "|yes|").replace(" ||", " |1400|")])):
        first, _, _ = commands(networks.bridges, [*NAMES, "new-net"])
    lines = str(first).splitlines()
    at = lines.index("gone tenants-net")
    assert lines[at:] == [
        "gone tenants-net",
        (
            "docker network create --driver bridge --subnet 172.19.0.0/16 --opt com.docker.network.driver.mtu=1500 "
            "--label smarteros.network=yes tenants-net >/dev/null"
        ),
        "joined tenants-net armed/members",
        (
            "docker network create --driver bridge --subnet 10.207.1.0/24 --opt com.docker.network.driver.mtu=1500 "
            "--label smarteros.network=yes --label smarteros.pool=10.207.0.0/16 new-net >/dev/null"
        ),
    ]
    assert "members >members" in lines


def test_a_plan_has_which_are_made_anew_and_not_which_are_new() -> None:
    with fake(answers([SMARTER, OLDER], "route 172.16.0.0/12 dev tun0")), drafts.drafting() as steps:
        networks.bridges([*NAMES, "new-net"], name="Networks")
    [step] = steps
    assert [item for item in step.effects if isinstance(item, Network)] == [Network("tenants-net")]


def test_nothing_is_armed_where_nothing_is_to_be_made() -> None:
    with fake(answers([SMARTER, TENANTS])):
        assert texts(networks.bridges, NAMES) == []


# The shell, run: Docker is played by a folder for each network, with a file for each container in it.
DOCKER = """#!/bin/sh
cd "$STATE"
case "$1 $2" in
"ps -aq") ls -d c* ;;
"inspect --format") for name in *-net; do for c in $(ls "$name"); do echo "$name $c $(cat "$name/$c")"; done; done ;;
"inspect c"*) [ -e "$2" ] ;;
"network inspect") shift 2; [ "$1" = --format ] && exit 0; [ -d "$1" ] ;;
"network create") shift 2; echo "create $*" >>log; for last; do :; done; mkdir "$last" ;;
"network rm") rmdir "$3" ;;
"network disconnect") rm "$4/$5" ;;
"network connect")
    shift 2; words=
    while [ "$1" = --alias ]; do words="$words $2"; shift 2; done
    echo $words >"$1/$2" ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """smarter-net with two containers, one of which has two aliases; tenants-net with one of them."""
    for path, text in {
        "bin/docker": DOCKER, "c1": "", "c2": "", "smarter-net/c1": "web www\n", "smarter-net/c2": "\n",
        "tenants-net/c1": "tenant\n",
    }.items():  # fmt: skip
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    (tmp_path / "bin/docker").chmod(0o755)
    return tmp_path


def shell(docker: Path, script: str) -> subprocess.CompletedProcess[str]:
    """The functions, then the script."""
    environment = {"PATH": f"{docker}/bin:{os.environ['PATH']}", "STATE": str(docker)}
    text = f"set -eu\n{networks._SHELL}\n{script}"
    return subprocess.run(
        ["sh", "-c", text], cwd=docker, env=environment, capture_output=True, text=True, check=False
    )


def inside(docker: Path) -> dict[str, str]:
    """Network/container → its aliases."""
    return {str(file.relative_to(docker)): file.read_text() for file in sorted(docker.glob("*-net/*"))}


def test_containers_stay_in_a_network_that_is_made_anew(docker: Path) -> None:
    before = inside(docker)
    done = shell(
        docker,
        "members >members\ngone smarter-net\ndocker network create smarter-net\njoined smarter-net members",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert inside(docker) == before
    assert (docker / "log").read_text() == "create smarter-net\n"


def test_a_container_that_is_gone_in_between_is_left_out(docker: Path) -> None:
    assert shell(docker, "members >members\ngone smarter-net").returncode == 0
    (docker / "c2").unlink()
    assert shell(docker, "docker network create smarter-net\njoined smarter-net members").returncode == 0
    assert sorted(inside(docker)) == ["smarter-net/c1", "tenants-net/c1"]


def test_a_network_that_is_not_there_is_gone(docker: Path) -> None:
    assert shell(docker, "gone new-net").returncode == 0

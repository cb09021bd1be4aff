"""Networks: a range of our own that is nobody else's, what is kept, what is made anew, and the shell that does it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tasks.connection import drafts
from tasks.facts import DockerFact, MachineFact, Other
from tasks.model.effects import Network
from tasks.operations import networks
from tasks.run import Refused, known
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake, texts
from tests.operations.docker_networks import Docker, docker
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


def test_what_nobody_but_compose_can_take_along_is_named() -> None:
    """What is ours this run makes anew; what was started by hand knows its networks by their names."""
    others = [
        Other("shop", "shop:1", "2026", "running", project="shop", part="web", networks=("tenants-net",)),
        Other("gone", "shop:1", "2026", "exited", project="shop", part="old", networks=("tenants-net",)),
        Other("hand", "shop:1", "2026", "running", networks=("tenants-net",)),
        Other("else", "shop:1", "2026", "running", project="x", part="x", networks=("theirs",)),
    ]
    [line] = networks.left_out(NAMES, others)
    assert line == (
        "shop (of the Compose project shop) is in tenants-net, and Docker takes nothing that Compose has made into another network: it is in "
        "none of that name until `docker compose -p shop up -d --force-recreate web`"
    )


def test_nothing_is_armed_where_nothing_is_to_be_made() -> None:
    with fake(answers([SMARTER, TENANTS])):
        assert texts(networks.bridges, NAMES) == []


@pytest.fixture
def there(tmp_path: Path) -> Docker:
    """smarter-net with two containers, one of which has two aliases; tenants-net with that one and one that no Compose has made."""
    inside = {
        "smarter-net": {"c1": ["web", "www"], "c2": []},
        "tenants-net": {"c1": ["tenant"], "c3": ["shop"]},
    }
    made = docker(tmp_path, ours={"c1": True, "c2": True, "c3": False}, inside=inside)
    state = made.state
    state["containers"]["c3"]["mode"] = ""
    (tmp_path / "state.json").write_text(json.dumps(state), "utf-8")
    return made


def shell(there: Docker, script: str) -> tuple[int, str]:
    """The functions, then the script."""
    done = there.shell(f"set -eu\n{networks.SHELL}\n{script}")
    return done.returncode, done.stderr


def test_containers_stay_in_a_network_that_is_made_anew(there: Docker) -> None:
    before = there.inside
    script = (
        "members >members\ngone tenants-net\ndocker network create tenants-net\njoined tenants-net members"
    )
    assert shell(there, script) == (0, "")
    assert there.inside == before
    assert shell(there, "joined tenants-net members") == (0, ""), "a second time"
    assert there.inside == before


def test_what_compose_has_made_in_it_is_left_for_who_makes_it_anew(there: Docker) -> None:
    """As the real Docker has it: such a container knows the network by its number."""
    script = (
        "members >members\ngone smarter-net\ndocker network create smarter-net\njoined smarter-net members"
    )
    code, said = shell(there, script)
    assert (code, said.count("could not find a network matching network mode")) == (0, 2)
    assert sorted(there.inside) == ["tenants-net/c1", "tenants-net/c3"]


def test_a_container_that_is_gone_in_between_is_left_out(there: Docker) -> None:
    assert shell(there, "members >members\ngone tenants-net") == (0, "")
    state = there.state
    del state["containers"]["c3"]
    (there.folder / "state.json").write_text(json.dumps(state), "utf-8")
    assert shell(there, "docker network create tenants-net\njoined tenants-net members") == (0, "")
    assert "tenants-net/c3" not in there.inside


def test_a_network_that_is_not_there_is_gone(there: Docker) -> None:
    assert shell(there, "gone new-net") == (0, "")

"""The networks that nodes have in common: which are made, and what is in their way."""

from ipaddress import IPv4Network
from typing import Any

import pytest

from tasks.model.subnets import Claim
from tasks.operations import overlays
from tasks.operations.overlays import Around, Overlay, planned
from tasks.run import Refused
from tests.fake import several
from tests.samples import stack

POOL = "10.207.0.0/16"
STACK = stack(network_pools=[POOL])
NAMES = ("smarter-net", "tenants-net")


def overlay(name: str = "smarter-net", subnet: str = "10.207.9.0/24", **changes: Any) -> dict[str, Any]:
    options = {"com.docker.network.driver.mtu": "1400"}
    return {
        "Name": name,
        "Driver": "overlay",
        "Attachable": True,
        "Options": options,
        "IPAM": {"Config": [{"Subnet": subnet}]},
        **changes,
    }


def bridge(name: str = "bridge", subnet: str = "172.17.0.0/16") -> dict[str, Any]:
    return {
        "Name": name,
        "Driver": "bridge",
        "IPAM": {"Config": [{"Subnet": subnet}, {"Subnet": "fd00::/64"}]},
        "Options": None,
    }


def made(
    *networks: list[dict[str, Any]], mtu: int = 1500, encrypted: bool = False, claims: tuple[Claim, ...] = ()
) -> list[Overlay]:
    found = {f"node-{number}": each for number, each in enumerate(networks, 1)}
    return planned(NAMES, Around(found, mtu, claims), STACK, encrypted=encrypted)


def refused(*networks: list[dict[str, Any]], **given: Any) -> list[str]:
    with pytest.raises(Refused) as raised:
        made(*networks, **given)
    return str(raised.value).split("\n")


def test_they_are_made_where_nobody_has_a_part_of_their_range() -> None:
    taken = [bridge("theirs", "10.207.0.0/24")]
    other = (Claim(IPv4Network("10.207.1.0/24"), "the way out"),)
    first, second = made([bridge()], taken, claims=other, mtu=1450, encrypted=True)
    assert first == Overlay("smarter-net", "10.207.2.0/24", POOL, 1350, encrypted=True)
    assert second.subnet == "10.207.3.0/24"
    assert first.body == {
        "Name": "smarter-net",
        "Driver": "overlay",
        "Attachable": True,
        "IPAM": {"Config": [{"Subnet": "10.207.2.0/24"}]},
        "Options": {"com.docker.network.driver.mtu": "1350", "encrypted": "true"},
        "Labels": {"smarteros.network": "yes", "smarteros.pool": POOL},
    }


def test_those_that_are_there_stay() -> None:
    assert [item.name for item in made([overlay()], [])] == ["tenants-net"]
    assert made([overlay(), overlay("tenants-net")], [overlay(), overlay("tenants-net")]) == []
    # Smaller than it could be is slower, and nothing else.
    assert len(made([overlay(Options={"com.docker.network.driver.mtu": "1300"})])) == 1


def test_a_bridge_of_the_name_on_any_node_is_in_the_way() -> None:
    assert refused([overlay()], [bridge("smarter-net"), bridge("tenants-net")]) == [
        f"networks: {name} on node-2 is a bridge of its own, and what is to join the swarm's network would join that: take its containers out "
        f"and `docker network rm {name}` there"
        for name in NAMES
    ]


@pytest.mark.parametrize(
    ("changes", "given", "why"),
    [
        ({}, {"mtu": 1450}, "has an MTU of 1400, and the nodes leave room for 1350"),
        ({}, {"encrypted": True}, "is not encrypted"),
        ({"Options": {"encrypted": ""}}, {}, "is encrypted"),
        ({"Attachable": False}, {}, "lets no container of Compose in"),
    ],
)
def test_what_no_overlay_changes_is_said_once(
    changes: dict[str, Any], given: dict[str, Any], why: str
) -> None:
    found = overlay(**changes)
    assert refused([found], [found], **given) == [
        f"networks: smarter-net {why}, which no overlay changes: take all out of it and `docker network rm smarter-net`, or leave the settings as they were"
    ]


def test_a_kernel_that_encrypts_nothing_is_refused_where_it_would_have_to() -> None:
    around = Around(
        {"node-1": []}, 1500, plain={"node-1": "", "node-2": "Requested AEAD algorithm not found"}
    )
    assert len(planned(NAMES, around, STACK, encrypted=False)) == 2
    with pytest.raises(Refused) as raised:
        planned(NAMES, around, STACK, encrypted=True)
    assert str(raised.value).startswith(
        "overlay_encryption: the kernel of node-2 encrypts nothing between nodes (Requested AEAD algorithm not found), and its packets "
    )


def test_a_pool_without_room_is_refused() -> None:
    (line,) = refused([bridge("theirs", POOL)])
    assert line.startswith(
        "network_pools: no range is left for smarter-net, all are taken: 10.207.0.0/16 (Docker's network theirs on node-1)"
    )


def test_what_can_be_said_of_a_host_is_said_before_anything_is_changed() -> None:
    there = (
        "n|smarter-net|bridge|false|10.207.0.0/24 |1500|br-1||",
        "n|tenants-net|overlay|false|10.207.2.0/24 |1400|||",
    )
    answers = {"ip xfrm": ["plain Requested AEAD algorithm not found", "{}"], "docker ps -aq": [*there]}
    groups = {"proxies": [0, 1], "data": [0], "apps": [2]}
    for encrypted in (True, False):
        changes = [{"overlay_encryption": encrypted}] * 3
        with several(*changes, responses=answers, groups=groups):
            said = [line.split(":")[0] for line in overlays.refusals()]
        assert said == [*(["overlay_encryption"] if encrypted else []), "networks"]
    with several({}, responses=answers):
        assert [*overlays.refusals()] == []

"""Docker's own ranges: what a bare host's daemon.json gets, and that a Docker that is there is left where it is."""

import json
from typing import Any

import pytest

from tasks.facts import DockerFact, MachineFact
from tasks.operations import daemon_ranges
from tasks.run import Refused, known
from tests.facts.test_facts import MACHINE
from tests.fake import fake
from tests.operations.test_networks import ETHERNET, SMARTER, WAN
from tests.samples import stack

BARE = [*ETHERNET[:9], *ETHERNET[-6:], WAN]
THERE = [*ETHERNET, WAN]
DOCKER0 = "n|bridge|bridge|false|172.17.0.0/16 |1500|docker0||"
POOLS: dict[str, Any] = {"default-address-pools": [{"base": "10.207.128.0/17", "size": 24}]}
OURS = {"bip": "10.207.127.1/24", **POOLS}


def added(
    machine: list[str], *around: str, docker: tuple[str, ...] = (), have: object = None, **settings: Any
) -> dict[str, Any]:
    """What daemon.json gets beside what it has."""
    with fake({"/etc/os-release": [*machine, *around], "docker ps -aq": [*docker]}, **settings):
        found = known(MachineFact), known(DockerFact)
        return daemon_ranges.settings(json.loads(json.dumps(have or {})), *found, stack(**settings))


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        ([], OURS),
        (["ssh 10.207.127.9"], {**OURS, "bip": "10.207.126.1/24"}),
        (["route 10.207.0.0/17 dev tun0"], {"bip": "172.28.127.1/24", **POOLS}),
        (
            ["route 10.207.0.0/16 dev tun0"],
            {"bip": "172.28.127.1/24", "default-address-pools": [{"base": "172.28.128.0/17", "size": 24}]},
        ),
        (
            ["resolver 10.207.255.1", "tunnel 10.207.128.0/18"],
            {
                "bip": "10.207.127.1/24",
                "default-address-pools": [
                    {"base": f"10.207.{block}", "size": 24}
                    for block in (
                        "192.0/19", "224.0/20", "240.0/21", "248.0/22", "252.0/23", "254.0/24",
                    )
                ],
            },
        ),
    ],
)  # fmt: skip
def test_a_bare_host_gets_ranges_that_are_nobodys(around: list[str], expected: dict[str, Any]) -> None:
    assert added(BARE, *around) == expected


@pytest.mark.parametrize("have", [OURS, {**OURS, "dns": ["1.1.1.1"]}])
def test_what_was_chosen_once_stays(have: dict[str, Any]) -> None:
    assert added(BARE, have=have) == {}
    assert added(THERE, have=have, docker=(SMARTER,)) == {}


def test_a_network_that_docker_has_taken_from_its_pools_is_what_they_are_for() -> None:
    others = (
        "n|mine|bridge|false|10.207.128.0/24 |1500|br-1||",
        "n|docker_gwbridge|bridge|false|10.207.129.0/24 |1500|docker_gwbridge||",
    )
    assert added(THERE, have=OURS, docker=(SMARTER, *others)) == {}


def test_a_docker_that_is_there_keeps_its_own_where_it_collides_with_nothing() -> None:
    assert added(THERE, docker=(DOCKER0, SMARTER)) == {}
    inside = ("inet docker0 172.17.0.1/16", "route 172.17.0.0/16 dev docker0", "ssh 172.17.0.5")
    assert added(THERE, *inside, docker=(DOCKER0,)) == {}
    assert added(THERE, *inside) == {}
    # Which Docker itself sees, when it chooses.
    assert added(THERE, "route 172.30.0.0/16 dev eth1", docker=(DOCKER0,)) == {}


@pytest.mark.parametrize(
    ("around", "have", "expected"),
    [
        (["ssh 172.19.77.5"], {}, POOLS),
        (["route 192.168.7.0/24 dev wg0 table 7"], {}, POOLS),
        (["route 172.17.0.0/16 dev eth1"], {}, {"bip": "10.207.127.1/24"}),
        (["resolver 10.9.0.1"], {"bip": "10.9.0.9/24"}, {"bip": "10.207.127.1/24"}),
        (["ssh 10.207.129.9"], OURS, {"default-address-pools": [
            {"base": f"10.207.{block}", "size": 24}
            for block in ("192.0/18", "160.0/19", "144.0/20", "136.0/21", "132.0/22", "130.0/23", "128.0/24")
        ]}),
        # Of the operator's own choice.
        (["ssh 10.99.9.9"], {"default-address-pools": [{"base": "10.99.0.0/16", "size": 24}]}, {}),
        (["route 172.17.0.0/16 dev eth1"], {"bridge": "br0"}, {}),
        (["route 172.17.0.0/16 dev eth1"], {"bip": "nonsense"}, {}),
        ([], {"default-address-pools": "nonsense"}, {}),
    ],
)  # fmt: skip
def test_only_what_collides_is_changed(around: list[str], have: object, expected: dict[str, Any]) -> None:
    assert added(THERE, *around, have=have, docker=(DOCKER0,)) == expected


def test_a_small_mtu_is_docker0s_and_that_of_what_others_make() -> None:
    small = {"mtu": 1450, "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1450"}}}
    machine = [*MACHINE, WAN]
    assert added(machine, docker=(DOCKER0,)) == small
    assert added(machine, docker=(DOCKER0,), have=small) == small
    wide = {"mtu": 1500, "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1500"}}}
    assert added(THERE, docker=(DOCKER0,), have=small) == wide
    assert added(THERE, docker=(DOCKER0,), have={"mtu": 1400}) == {}
    theirs = {"default-network-opts": {"bridge": {"a": "b"}, "overlay": {}}}
    assert added(machine, docker=(DOCKER0,), have=theirs)["default-network-opts"] == {
        "bridge": {"a": "b", "com.docker.network.driver.mtu": "1450"},
        "overlay": {},
    }


def test_where_no_range_is_left_it_is_said() -> None:
    with pytest.raises(Refused) as refused:
        added(BARE, "route 10.207.0.0/16 dev tun0", network_pools=["10.207.0.0/16"])
    assert str(refused.value) == (
        "network_pools: no range is left for docker0, all are taken: 10.207.0.0/16 (the route to 10.207.0.0/16 over "
        "tun0): name another private range"
    )
    with pytest.raises(Refused) as refused:
        added(BARE, "route 10.207.128.0/17 dev tun0", network_pools=["10.207.0.0/16"])
    assert str(refused.value) == (
        "network_pools: no range is left for networks that others make: name another private range"
    )


@pytest.mark.parametrize(
    ("text", "tried"),
    [
        ('{"bip": "10.207.127.1/24"}', True),
        ('{"bip": "172.17.0.1/16"}', False),  # where it is
        ('{"mtu": 1400}', False),
        ('{"bip": "nonsense"}', False),
        ("{", False),
        ("", False),
    ],
)
def test_a_new_range_of_docker0s_is_tried(text: str, tried: bool) -> None:
    with fake({"/etc/os-release": [*MACHINE, "inet docker0 172.17.0.1/16"]}):
        change = daemon_ranges.trial(text, known(MachineFact))
    assert (change is not None) is tried
    if change:
        assert change.what == "docker0's range 10.207.127.0/24"
        assert change.undo == change.proven == "ip link delete smarteros-try 2>/dev/null || true"


@pytest.mark.parametrize(
    ("around", "have", "holder"),
    [
        ([], OURS, ""),
        (["ssh 10.9.9.9"], OURS, ""),
        (["ssh 172.19.77.5"], OURS, "172.19.77.5, from where somebody is logged in over SSH"),
        (["ssh 192.168.7.5"], OURS, "192.168.7.5, from where somebody is logged in over SSH"),
        # Docker sees what the host's own network is, and takes none of it.
        (["ssh 172.19.77.5", "inet eth0 172.19.77.2/24"], OURS, ""),
        (["route 172.19.0.0/16 dev eth1"], OURS, ""),
        (["route 172.17.0.0/24 dev tun0"], OURS, "the route to 172.17.0.0/24 over tun0"),
        (["tunnel 172.30.0.0/24"], OURS, "the VPN's range 172.30.0.0/24"),
        (["ssh 172.19.77.5"], POOLS, "172.19.77.5, from where somebody is logged in over SSH"),
        (["ssh 172.19.77.5"], {}, ""),
        (["ssh 172.19.77.5"], {"bip": "10.9.0.1/24"}, ""),
        (["ssh 172.19.77.5"], {"bip": "nonsense"}, ""),
    ],
)
def test_ranges_that_are_needed_stay_when_the_host_is_undone(
    around: list[str], have: dict[str, Any], holder: str
) -> None:
    with fake({"/etc/os-release": [*THERE, *around], "docker ps -aq": [SMARTER]}):
        found = known(MachineFact), known(DockerFact)
        assert daemon_ranges.needed(have, *found, stack()) == holder

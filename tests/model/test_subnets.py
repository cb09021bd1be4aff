"""Subnets: the first free range, and the largest free blocks, of the first pool that has any."""

from ipaddress import IPv4Network

import pytest

from tasks.model.subnets import Claim, blocks, collision, free
from tests.samples import refusals, stack

POOL, NEXT = IPv4Network("10.207.0.0/16"), IPv4Network("192.168.208.0/20")


def claims(*ranges: str) -> list[Claim]:
    """Somebody's ranges."""
    return [Claim(IPv4Network(text), f"whoever has {text}") for text in ranges]


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "10.207.0.0/24"),
        (["10.207.0.0/24", "10.207.1.9/32"], "10.207.2.0/24"),
        (["10.207.200.0/24"], "10.207.0.0/24"),
        (["10.207.0.0/18"], "10.207.64.0/24"),
        (["10.0.0.0/8"], "192.168.208.0/24"),
        (["10.207.0.0/17", "192.168.208.0/22"], "192.168.212.0/24"),
    ],
)
def test_the_first_free_range_is_in_the_lower_half(taken: list[str], expected: str) -> None:
    assert str(next(free([POOL, NEXT], claims(*taken)))) == expected


def test_no_range_is_left_where_all_are_taken() -> None:
    assert list(free([POOL, NEXT], claims("10.0.0.0/8", "192.168.0.0/16"))) == []


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], ["10.207.128.0/17"]),
        (["10.207.128.0/17"], ["192.168.216.0/21"]),
        (["10.207.129.7/32"], [
            "10.207.192.0/18", "10.207.160.0/19", "10.207.144.0/20", "10.207.136.0/21", "10.207.132.0/22",
            "10.207.130.0/23", "10.207.128.0/24",
        ]),
        (["10.0.0.0/8", "192.168.0.0/16"], []),
    ],
)  # fmt: skip
def test_what_others_make_has_the_largest_free_blocks_of_the_upper_half(
    taken: list[str], expected: list[str]
) -> None:
    assert [str(block) for block in blocks([POOL, NEXT], claims(*taken))] == expected


def test_a_collision_names_who_was_there() -> None:
    assert collision(POOL, claims("10.208.0.0/16", "10.207.9.0/24")) == "whoever has 10.207.9.0/24"
    assert collision(POOL, claims("10.208.0.0/16")) == ""


@pytest.mark.parametrize(
    ("pools", "line"),
    [
        (
            ["10.207.0.1/16"],
            ".0: '10.207.0.1/16' is no range as it is written (did you mean '10.207.0.0/16'?)",
        ),
        (["10.207.0.0"], ".0: '10.207.0.0' is too small: a /20 is the least (like 10.207.0.0/16)"),
        (["fd00::/48"], ".0: 'fd00::/48' is no range of IPv4 addresses (like 10.207.0.0/16)"),
        (["ten"], ".0: 'ten' is no range of IPv4 addresses (like 10.207.0.0/16)"),
        ([10], ".0: has to be text, and is a number"),
        (["10.207.0.0/21"], ".0: '10.207.0.0/21' is too small: a /20 is the least (like 10.207.0.0/16)"),
        (["10.0.0.0/8"], ".0: '10.0.0.0/8' is too large: no more than a /12 (like 10.207.0.0/16)"),
        (
            ["169.254.0.0/16"],
            ".0: '169.254.0.0/16' holds addresses that no network can have (like 10.207.0.0/16 can)",
        ),
        (
            ["224.0.0.0/16"],
            ".0: '224.0.0.0/16' holds addresses that no network can have (like 10.207.0.0/16 can)",
        ),
        (["10.0.0.0/12", "10.1.0.0/16"], ": '10.1.0.0/16' and '10.0.0.0/12' overlap"),
        ([], ": has to list at least one"),
        ("10.207.0.0/16", ": has to be a list, and is text (did you mean ['10.207.0.0/16']?)"),
    ],
)
def test_pools_that_no_network_can_have_are_refused(pools: object, line: str) -> None:
    assert refusals(network_pools=pools) == [f"network_pools{line}"]


def test_pools_are_kept_as_they_are() -> None:
    assert stack().network_pools == ("10.207.0.0/16", "172.28.0.0/16", "192.168.208.0/20")
    assert stack(network_pools=["100.64.0.0/16"]).network_pools == ("100.64.0.0/16",)

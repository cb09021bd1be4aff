"""Jumps: who has to lead where, for each way in which people write it."""

from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.connectors.sshuserclient.client import get_ssh_config

from tasks.connection import jumps

BEHIND = "Host behind\n  HostName 10.0.0.5\n"
EDGE = "Host edge\n  HostName 198.51.100.7\n"


def hops(tmp_path: Path, text: str, name: str = "behind", port: int | None = None) -> list[tuple[str, str]]:
    path = tmp_path / str(len([*tmp_path.iterdir()]))  # a file is read once
    path.write_text(text)
    return sorted(jumps.hops(get_ssh_config(str(path)), name, port))


BOTH = [("198.51.100.7", "10.0.0.5:22"), ("edge", "10.0.0.5:22")]


@pytest.mark.parametrize(
    ("way", "found"),
    [
        ("  ProxyJump edge\n", BOTH),
        ("  ProxyJump root@edge:2222\n", BOTH),
        ("  ProxyCommand ssh -W %h:%p edge\n", BOTH),
        ("  ProxyCommand /usr/bin/ssh -q -i ~/.ssh/key -W%h:%p -p 2222 root@edge\n", BOTH),
        ("  Port 2200\n  ProxyJump edge\n", [(via, "10.0.0.5:2200") for via, _ in BOTH]),
        ("  ProxyCommand ssh edge nc %h %p\n", []),
        ("  ProxyCommand nc -X connect -x proxy:3128 %h %p\n", []),
        ("  ProxyCommand ssh 'edge\n", []),
        ("  ProxyJump none\n", []),
        ("", []),
    ],
)
def test_the_host_that_leads_to_another_is_found(
    tmp_path: Path, way: str, found: list[tuple[str, str]]
) -> None:
    assert hops(tmp_path, BEHIND + way + EDGE) == found


def test_each_of_several_hops_leads_to_the_next_by_either_of_its_names(tmp_path: Path) -> None:
    inner = "Host inner\n  HostName 10.0.0.2\n  Port 2200\n"
    assert hops(tmp_path, f"{BEHIND}  ProxyJump edge,inner\n{EDGE}{inner}") == [
        ("10.0.0.2", "10.0.0.5:22"),
        ("198.51.100.7", "10.0.0.2:2200"),
        ("198.51.100.7", "inner:2200"),
        ("edge", "10.0.0.2:2200"),
        ("edge", "inner:2200"),
        ("inner", "10.0.0.5:22"),
    ]


def test_a_hop_is_reached_through_hops_of_its_own_and_a_circle_ends(tmp_path: Path) -> None:
    chain = "Host inner\n  HostName 10.0.0.2\n  ProxyJump edge\n"
    found = hops(tmp_path, f"{BEHIND}  ProxyJump inner\n{EDGE}{chain}")
    assert ("edge", "10.0.0.2:22") in found
    assert ("inner", "10.0.0.5:22") in found
    circle = "Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n"
    assert hops(tmp_path, circle, "a") == [("a", "b:22"), ("b", "a:22")]


def test_a_port_of_the_inventory_and_an_address_of_version_6_are_as_sshd_takes_them(tmp_path: Path) -> None:
    config = "Host 2001:db8::5\n  ProxyJump edge\n"
    assert hops(tmp_path, config, "2001:db8::5", 2022) == [("edge", "[2001:db8::5]:2022")]


def test_an_inventory_says_who_is_reached_through_whom(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("Host 10.0.0.5 10.0.0.6\n  ProxyJump root@198.51.100.7\n")
    data = {"ssh_config_file": str(path)}
    entries = [
        ("one", {"ssh_hostname": "198.51.100.7", **data}),
        ("two", {"ssh_hostname": "10.0.0.5", **data}),
        ("10.0.0.6", {**data, "ssh_port": 2222}),
        ("three", {"ssh_hostname": "203.0.113.9", **data}),
    ]
    make: Any = Inventory
    config: Any = Config
    state = State(make((entries, {})), config())
    found = {host.name: jumps.through(host) for host in state.inventory}
    assert found == {"one": ("10.0.0.5:22", "10.0.0.6:2222"), "two": (), "10.0.0.6": (), "three": ()}

"""Which services of a cluster are a swarm's tasks, and how many each is."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.model.catalogue import Container, Database, RedisUser, Service, Volume
from tasks.model.folder import Folder
from tasks.model.spread import spread, spreads
from tasks.services import load
from tests.samples import container, stack

NODES = ("203.0.113.1",)


def loaded(apps: int, **changes: Any) -> dict[str, Service]:
    return {service.name: service for service in load(stack(**changes).with_nodes(NODES, apps))}


def test_what_keeps_nothing_is_a_swarms_and_all_else_composes() -> None:
    found = loaded(2)
    assert {name for name, service in found.items() if service.nodes} == {
        "mcp-registry",
        "vault-auth-validator",
    }
    assert {service.nodes for service in load(stack())} == {0}
    assert {service.nodes for service in loaded(0).values()} == {0}


@pytest.mark.parametrize(("apps", "count"), [(1, 1), (2, 2), (5, 2)])
def test_there_is_one_on_each_of_two_nodes(apps: int, count: int) -> None:
    found = loaded(apps)["mcp-registry"]
    assert (found.nodes, found.main.replicas) == (apps, count)
    assert (found.main.networks, found.main.shared) == (("smarter-net",), ())
    service = Service("x", "X", (container("x", replicas=3),))
    assert spread(service, apps).main.replicas == 3


def test_no_registry_can_answer_for_what_is_built_on_the_nodes() -> None:
    found = loaded(2)
    assert found["vault-auth-validator"].main.image == "smarteros.invalid/smarteros/vault-auth-validator"
    assert found["mcp-registry"].main.image == "caddy:2.11.7-alpine"


WEB = container("x", twice="it keeps nothing")


@pytest.mark.parametrize(
    "change",
    [
        {"volumes": (Volume("x_data", "/data", backup="files"),)},
        {"folders": (Folder("/srv/x", why="it is there"),)},
        {"binds": {"/var/run/docker.sock:/var/run/docker.sock": "it asks Docker"}},
        {"ports": {"80:80": "it is the proxy"}},
        {"job": True},
        {"joins": "y"},
        {"swaps": False},
        {"twice": ""},
        {"fork": "Dockerfile"},
        {"extra": {"sysctls": {"net.core.somaxconn": "1024"}}},
        {"networks": ("smarter-net", "backup-net")},
    ],
    ids="".join,
)
def test_a_container_that_is_its_hosts_own_stays(change: dict[str, Any]) -> None:
    assert spreads(Service("x", "X", (WEB,)))
    other: Container = replace(WEB, name="y", **change)
    assert not spreads(Service("x", "X", (WEB, other)))


@pytest.mark.parametrize(
    "change",
    [
        {"phase": "data"},
        {"role": "data"},
        {"databases": (Database("x", "PASSWORD"),)},
        {"redis": RedisUser("x", "PASSWORD")},
    ],
    ids="".join,
)
def test_a_service_whose_password_another_program_has_stays(change: dict[str, Any]) -> None:
    assert not spreads(replace(Service("x", "X", (WEB,)), **change))

"""Sizing: profiles become limits, worker settings and what a host has to have, and fit the architecture's hosts."""

import re
from typing import Any

import pytest

from tasks.model import sizing
from tasks.model.catalogue import Size
from tasks.rendering import render
from tasks.services import load
from tests.samples import stack

CORE_SERVICES = ["vault", "postgres", "redis", "chatwoot", "botpress", "n8n", "odoo", "caddy"]


def limits(**changes: Any) -> dict[str, tuple[int, float]]:
    loaded = load(stack(**changes))
    return {item.name: (item.size.memory_mb, item.size.cpus) for each in loaded for item in each.containers}


def test_the_minimum_is_the_architectures_estimates() -> None:
    estimates = {
        "chatwoot": (512, 1),
        "botpress": (1024, 1),
        "odoo": (2048, 2),
        "postgres": (1024, 2),
        "redis": (256, 0.5),
        "caddy-proxy": (128, 0.5),
    }
    found = limits()
    assert {name: found[name] for name in estimates} == estimates
    assert found["n8n"] == (1024, 1)  # twice the estimate: 450 to 755 MB were measured


@pytest.mark.parametrize(("profile", "factor"), [("recommended", 1.5), ("production", 3)])
def test_a_profile_multiplies_every_limit(profile: str, factor: float) -> None:
    wanted = {name: (int(memory * factor), cpus * factor) for name, (memory, cpus) in limits().items()}
    assert limits(profile=profile) == wanted


def test_an_override_is_taken_as_it_is() -> None:
    found = limits(profile="production", overrides={"odoo": {"memory_mb": 4000, "cpus": 2.5}})
    assert found["odoo"] == (4000, 2.5)


def need(services: list[str] | None, profile: str) -> Size:
    chosen = {"services": services} if services else {}
    return sizing.demand(load(stack(profile=profile, **chosen)))


@pytest.mark.parametrize(
    ("services", "profile", "memory_mb", "cpus", "disk_gb"),
    [
        (CORE_SERVICES, "minimum", 4000, 4, 20),
        (None, "recommended", 8000, 8, 50),
        (None, "production", 16000, 16, 100),
    ],
)
def test_each_profile_fits_the_architectures_host(
    services: list[str] | None, profile: str, memory_mb: int, cpus: int, disk_gb: int
) -> None:
    found = need(services, profile)
    assert found.memory_mb <= memory_mb * 0.97  # a host's kernel keeps a part
    assert found.memory_mb > memory_mb * 0.7
    assert found.cpus <= cpus
    assert disk_gb * 0.7 < found.disk_gb <= disk_gb


def setting(text: str, name: str) -> int:
    found = re.search(rf"^{name} = (\d+)", text, re.MULTILINE)
    assert found, text
    return int(found[1])


@pytest.mark.parametrize(
    ("profile", "buffers", "parallel", "workers"),
    [("minimum", 256, 2, 4), ("recommended", 384, 3, 6), ("production", 768, 6, 12)],
)
def test_postgres_and_odoo_are_set_to_their_limits(
    profile: str, buffers: int, parallel: int, workers: int
) -> None:
    files = render.tree(stack(profile=profile))
    postgres, odoo = files["postgres/postgresql.conf"], files["odoo/odoo.conf"]
    assert setting(postgres, "shared_buffers") == buffers
    assert setting(postgres, "max_parallel_workers") == parallel
    assert setting(odoo, "workers") == workers
    hard = setting(odoo, "limit_memory_hard")
    assert hard > setting(odoo, "limit_memory_soft") >= 300 * 1024 * 1024

"""Faults: control processes that are killed somewhere, chosen anew each time; `make test-faults` takes every point.

SMARTEROS_FAULT_SEED repeats a choice.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random, SystemRandom

import pytest

from tests.e2e.deployment import Deployment
from tests.faults import proof, state
from tests.faults.course import Step, counted, points, sample
from tests.faults.proof import LIGHT, OTHER
from tests.faults.state import State
from tests.lab import smarteros
from tests.lab.lab import Lab

SEED = int(os.environ.get("SMARTEROS_FAULT_SEED") or SystemRandom().randrange(10**6))
FIRST, UPDATE = 3, 3


@dataclass
class Clean:
    """What runs without a fault have: their operations, and the host after them."""

    first: list[Step]
    light: State
    update: list[Step]
    other: State


@pytest.fixture(scope="module")
def clean(lab: Lab) -> Iterator[Clean]:
    """From a host of its own, which is gone before the tests begin."""
    host = Deployment(lab, lab.add_host("clean"))
    lab.point(smarteros.domains(), host.host)
    first = counted(host, **LIGHT)
    light = state.read(host)
    update = counted(host, **OTHER)
    found = Clean(first, light, update, state.read(host))
    proof.remove(host)
    yield found
    lab.point(smarteros.domains(), "lab-1")


@pytest.fixture(scope="module")
def host(lab: Lab, clean: Clean) -> Iterator[Deployment]:
    """Bare at first."""
    deployment = Deployment(lab, lab.add_host("killed"))
    lab.point(smarteros.domains(), deployment.host)
    yield deployment
    proof.remove(deployment)


def test_a_first_deploy_that_is_killed_again_and_again_ends_as_a_clean_one(
    clean: Clean, host: Deployment
) -> None:
    print(f"SMARTEROS_FAULT_SEED={SEED}")
    chance = Random(SEED)
    chosen = sample(points(clean.first, chance), chance, FIRST)
    proof.same(clean.light, proof.ascending(host, chosen, **LIGHT))


def test_an_update_that_is_killed_again_and_again_ends_as_a_clean_one_with_every_secret_and_volume(
    clean: Clean, host: Deployment
) -> None:
    print(f"SMARTEROS_FAULT_SEED={SEED}")
    host.converge(**LIGHT)
    before = state.read(host)
    chance = Random(SEED + 1)
    chosen = sample(points(clean.update, chance), chance, UPDATE)
    after = proof.ascending(host, chosen, **OTHER)
    proof.same(clean.other, after)
    assert state.differences(before.own, after.own) == []

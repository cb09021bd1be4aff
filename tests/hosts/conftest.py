"""Two hosts for all conditions: a bare one, and one with Docker and nothing else. Each is as it was after each test."""

from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment
from tests.lab.lab import Lab


@pytest.fixture(scope="session")
def odd_bare(lab: Lab) -> Iterator[Deployment]:
    """A bare host, for conditions that need no Docker."""
    yield Deployment(lab, lab.add_host("odd-bare"))
    lab.remove_host("odd-bare")


@pytest.fixture(scope="session")
def odd(lab: Lab) -> Iterator[Deployment]:
    """A host with Docker as its distribution ships it, and an image to run containers of."""
    host = Deployment(lab, lab.add_host("odd", system="docker"))
    host.sh("docker pull --quiet redis:7.4.11-alpine", timeout=300)
    yield host
    lab.remove_host("odd")

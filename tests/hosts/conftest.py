"""Two hosts for all conditions: a bare one, and one with Docker and nothing else. Each is as it was after each test."""

from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment
from tests.lab.lab import Lab

# What a plan of ours never installs: a host that people have used before has Docker.
_DOCKER = (
    "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && apt-get -q install -y --no-install-recommends"
    " docker.io docker-cli docker-compose docker-buildx iptables nftables"
)


@pytest.fixture(scope="session")
def odd_bare(lab: Lab) -> Iterator[Deployment]:
    """A bare host, for conditions that need no Docker."""
    yield Deployment(lab, lab.add_host("odd-bare"))
    lab.remove_host("odd-bare")


@pytest.fixture(scope="session")
def odd(lab: Lab) -> Iterator[Deployment]:
    """A host with Docker as its distribution ships it, and an image to run containers of."""
    host = Deployment(lab, lab.add_host("odd"))
    host.sh(_DOCKER, timeout=600)
    host.sh("docker pull --quiet redis:7.4.11-alpine", timeout=300)
    yield host
    lab.remove_host("odd")

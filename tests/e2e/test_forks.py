"""Fork and customise: an image built on the host from /root/repos/<service>, in step with its remotes."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.clients import containers
from tests.e2e.deployment import Deployment

NAME = "mcp-registry-web"
FORKS = {"mcp-registry": {"fork": "/srv/git/fork.git", "upstream": "/srv/git/upstream.git", "branch": "main"}}
SYNC = "bash /root/sync-forks.sh"
GIT = "git -c user.name=a -c user.email=a@example.org"

# The same program with a file more, published as an upstream and a fork of it.
PUBLISH = f"""
set -e
mkdir -p /srv/git/work && cd /srv/git/work
git init -q -b main
printf 'FROM caddy:2.11.7-alpine\\nCOPY ours /srv/ours\\n' > Dockerfile
echo first > ours
git add . && {GIT} commit -q -m first && git tag v1-acme
git clone -q --bare . ../upstream.git
git clone -q --bare . ../fork.git
"""
MOVE = f"""
set -e
cd /srv/git/work
echo second > ours
{GIT} commit -q -a -m second
git push -q ../fork.git main
git rev-parse HEAD
"""


@pytest.fixture
def host(deployed: Deployment) -> Iterator[Deployment]:
    """The deployed host with git and the script for one fork; afterwards as it was, but for git."""
    deployed.converge(forks=FORKS)
    yield deployed
    deployed.converge()
    deployed.sh(
        "rm -rf /srv/git /root/repos; docker image ls -q smarteros/mcp-registry | xargs -r docker rmi -f"
    )
    deployed.unchanged()


def built(revision: str) -> dict[str, Any]:
    """The settings that run this revision of the fork."""
    return {"forks": FORKS, "overrides": {"mcp-registry": {"build": revision}}}


def running(host: Deployment) -> tuple[str, str]:
    """The image that the container was made from, and what the fork added to it."""
    return containers(host)[NAME]["Config"]["Image"], host.sh(
        f"docker exec {NAME} cat /srv/ours", check=False
    )


def test_a_fork_is_cloned_built_run_moved_and_left_again(host: Deployment) -> None:
    host.unchanged(forks=FORKS)
    host.sh(PUBLISH)

    # Not cloned yet: the run stops at that service, which goes on as it is.
    before = containers(host)[NAME]["Id"]
    failed = host.refused(**built("v1-acme"))
    line = (
        "mcp-registry: /root/repos/mcp-registry has no commit or tag v1-acme: "
        "run bash /root/sync-forks.sh mcp-registry"
    )
    assert (line in failed.lines, containers(host)[NAME]["Id"]) == (True, before)

    first = host.sh("git -C /srv/git/fork.git rev-parse --short=12 main").strip()
    rest = "nothing new in upstream/main\n"
    assert host.sh(SYNC) == f"mcp-registry: cloned; in step with the fork (main, {first}); {rest}"
    host.converge(**built("v1-acme"))
    assert running(host) == ("smarteros/mcp-registry:v1-acme", "first\n")
    host.unchanged(**built("v1-acme"))
    by_hand = containers(host)[NAME]["Id"]
    host.sh("docker compose -f /root/dkcompose/mcp-registry-deploy.yaml up -d 2>&1")
    assert containers(host)[NAME]["Id"] == by_hand

    second = host.sh(MOVE).strip()
    assert host.sh(SYNC) == f"mcp-registry: fast-forwarded by 1 (main, {second[:12]}); {rest}"
    host.unchanged(**built("v1-acme"))  # what was fetched runs when the settings say so
    host.converge(**built(second[:12]))
    assert running(host) == (f"smarteros/mcp-registry:{second[:12]}", "second\n")
    assert host.sh("ls /var/tmp | grep smarteros-build", check=False) == ""

    host.converge()
    assert running(host) == ("caddy:2.11.7-alpine", "")
    host.unchanged()

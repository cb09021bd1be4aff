"""Adoption for real: what carries names of ours makes room, comes back when ours does not come up, and is kept when it does."""

from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment
from tests.lab.lab import Lab

IMAGE, BAD = "redis:7.4.11-alpine", "redis:7.4.99-alpine"
SETTINGS = {
    "services": ["vault", "redis"],
    "adopt": ["container:redis", "volume:redis_data", "network:smarter-net"],
}
# A shop that has been here for long: its Redis, its network, and an image that ends at once.
BEFORE = f"""
set -e
docker pull --quiet {IMAGE} >/dev/null
docker network create smarter-net >/dev/null
docker run --detach --name redis --restart always --network smarter-net --volume redis_data:/data {IMAGE} \\
    redis-server --appendonly yes >/dev/null
docker run --detach --name shop --restart always --network smarter-net {IMAGE} >/dev/null
until docker exec redis redis-cli set theirs kept; do sleep 0.2; done
docker commit --change 'ENTRYPOINT ["false"]' shop {BAD} >/dev/null
"""
THEIRS = "docker inspect --format '{{.Name}} {{.Id}} {{.State.Running}} {{.HostConfig.RestartPolicy.Name}}' "


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[Deployment]:
    """A host with that shop."""
    found = Deployment(lab, lab.add_host("shop", system="docker"))
    found.sh(BEFORE, timeout=300)
    yield found
    lab.remove_host("shop")


def test_what_was_adopted_comes_back_when_ours_does_not_come_up_and_is_kept_when_it_does(
    host: Deployment,
) -> None:
    before = host.sh(f"{THEIRS} redis shop")
    run = host.refused(overrides={"redis": {"image": BAD}}, **SETTINGS)
    assert "put back: redis" in run.lines, run.output
    assert host.sh(f"{THEIRS} redis shop") == before
    assert host.sh("docker exec redis redis-cli get theirs") == "kept\n"

    host.converge(**SETTINGS)
    after = host.sh(f"{THEIRS} redis-before-smarteros shop")
    theirs, shop = before.splitlines()
    assert after.splitlines() == [
        theirs.replace("/redis ", "/redis-before-smarteros ").replace(" true always", " false no"),
        shop,
    ]
    # Ours goes on with its data, and its network is still the shop's.
    assert host.sh("docker exec redis sh -c 'REDISCLI_AUTH=$REDIS_PASSWORD redis-cli get theirs'") == "kept\n"
    assert host.sh("docker exec shop redis-cli -h redis ping 2>&1", check=False).startswith("NOAUTH")
    host.unchanged(**SETTINGS)

"""One host with data becomes three: its data stay, its sites are away for seconds, and a run that was killed on the way goes on."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.test_cluster import NAMES, SERVICES, inventory, run, visited
from tests.lab import smarteros
from tests.lab.lab import Lab

ROW = "docker exec postgres psql -U postgres -d n8n -tAc"
FILE = "/home/node/.n8n-files/kept"
# Seconds that a site is away while its networks change places.
AWAY = 15


@pytest.fixture(scope="module")
def nodes(lab: Lab) -> Iterator[list[Deployment]]:
    """One that serves alone, with a row and a file that somebody has left there, and two that nobody has used."""
    made = [Deployment(lab, lab.add_host(name, system="docker")) for name in NAMES]
    lab.point(smarteros.domains(), made[0].host)
    made[0].converge(services=SERVICES, timeout=1800)
    made[0].sh(f"{ROW} 'CREATE TABLE kept (a int); INSERT INTO kept SELECT generate_series(1, 1000)'")
    made[0].sh(f"docker exec n8n sh -c 'echo kept >{FILE}'")
    yield made
    for name in NAMES:
        lab.remove_host(name)
        shutil.rmtree(lab.state.folder / "state" / name, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inventory(tmp_path_factory.mktemp("growing"))


def no_op(nodes: list[Deployment], cluster: Path | None = None) -> float:
    """Seconds of the quickest of three runs that change nothing: of all, or of the first host alone."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        made = run(nodes, cluster) if cluster else nodes[0].converge(services=SERVICES)
        took.append(time.monotonic() - began)
        made.unchanged()
    return min(took)


@pytest.fixture(scope="module")
def alone(nodes: list[Deployment]) -> float:
    """Of the first host, before it grows."""
    return no_op(nodes)


def kept(node: Deployment) -> list[str]:
    return [
        node.sh(f"{ROW} 'SELECT sum(a) FROM kept'").strip(),
        node.sh(f"docker exec n8n cat {FILE}").strip(),
    ]


def test_a_network_whose_range_somebody_else_has_takes_what_is_in_it_along(nodes: list[Deployment]) -> None:
    """Docker takes nothing that Compose has made into another network of the name: the same run makes it anew."""
    node, before = nodes[0], kept(nodes[0])
    subnet = node.sh(
        "docker network inspect smarter-net --format '{{(index .IPAM.Config 0).Subnet}}'"
    ).strip()
    address = subnet.replace(".0/", ".200/")
    node.sh(f"ip link add taken type bridge; ip link set taken up; ip address add {address} dev taken")
    try:
        made = node.converge(services=SERVICES)
        assert {"Data | PostgreSQL", "Services | n8n Workflows", "Proxy | Caddy"} <= {*made.changes}
        assert subnet not in node.sh("docker network inspect smarter-net")
        assert kept(node) == before
        node.converge(services=SERVICES).unchanged()
    finally:
        node.sh("ip link delete taken")


def test_what_the_plan_says_of_it(nodes: list[Deployment], cluster: Path, alone: float) -> None:
    assert alone
    made = run(nodes, cluster, code=2, deploy="tasks.commands.plan.run")
    assert (
        "smarter-net, tenants-net: bridges of node-1 alone until now, and of all nodes from now on"
        in made.output
    )
    assert "cut off for seconds while smarter-net" in made.output, made.output[-9000:]
    assert not made.changes


def test_it_grows_with_its_data_and_its_sites_are_away_for_seconds(
    nodes: list[Deployment], cluster: Path
) -> None:
    before = kept(nodes[0])
    with visited(nodes[:1]) as wrong:
        run(nodes, cluster)
    print(wrong.pop("all"), "requests,", sum(wrong.values()), "failed")
    found = [re.fullmatch(r"(\S+ \S+) (\S+) after (\S+) s at (\S+)", line) for line in wrong]
    began = sorted((float(item[4]), float(item[3]), item[1], item[2]) for item in found if item)
    for each in began:
        print(*each)
    assert kept(nodes[0]) == before
    assert not began or began[-1][0] - began[0][0] < AWAY
    run(nodes, cluster).unchanged()


def test_a_run_that_changes_nothing_takes_little_longer_for_three(
    nodes: list[Deployment], cluster: Path, alone: float
) -> None:
    three = no_op(nodes, cluster)
    print(f"{alone:.1f} s for one host, {three:.1f} s for three: {three / alone:.2f} times")
    assert three <= 2.5 * alone

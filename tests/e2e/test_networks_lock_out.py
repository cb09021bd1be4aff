"""Networks that lock the operator out: none of ours does, and one that does is taken back by the host itself.

The operator comes from an address beyond the default route, which a range of Docker's can swallow.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.test_lock_out import armed, inside, logs_in
from tests.lab import addresses
from tests.lab.lab import Lab

OPERATOR = "172.19.64.5"
POOL = {"network_pools": ["172.19.64.0/20"]}
RIGHT, BLIND = "tests/e2e/deploys/networks.py", "tests/e2e/deploys/blind.py"
MADE = "Networks | smarter-net, tenants-net, dokploy-network"
SECONDS = 30


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[Deployment]:
    """A host with Docker, and with a network of the release before, in which containers are."""
    deployment = Deployment(lab, lab.add_host("swallowed", system="docker"))
    deployment.sh(
        "docker network create --label smarteros.network=yes --opt com.docker.network.driver.mtu=1300 "
        "--subnet 172.30.7.0/24 smarter-net; docker pull --quiet redis:7.4.11-alpine; "
        "docker run -d --name runs --restart always --network smarter-net --network-alias other redis:7.4.11-alpine; "
        "docker create --name stopped --network smarter-net redis:7.4.11-alpine"
    )
    deployment.sh("docker network create --label smarteros.network=yes --subnet 172.30.8.0/24 tenants-net")
    yield deployment
    lab.remove_host("swallowed")


@pytest.fixture(scope="module", autouse=True)
def afar(host: Deployment) -> Iterator[None]:
    """The host sees this machine at the operator's address."""
    address = host.host.address
    gateway = addresses.address(f"{address}/24", 1)
    found = json.loads(subprocess.check_output(["ip", "-j", "-4", "address"]))
    bridge = next(link["ifname"] for link in found for item in link["addr_info"] if item["local"] == gateway)
    subprocess.run(["ip", "address", "add", f"{OPERATOR}/32", "dev", bridge], check=True)
    subprocess.run(["ip", "route", "replace", f"{address}/32", "dev", bridge, "src", OPERATOR], check=True)
    assert host.sh("echo ${SSH_CONNECTION%% *}").strip() == OPERATOR
    yield
    subprocess.run(["ip", "route", "delete", f"{address}/32", "dev", bridge], check=True)
    subprocess.run(["ip", "address", "delete", f"{OPERATOR}/32", "dev", bridge], check=True)


def state(host: Deployment) -> str:
    """Networks with their ranges and options, and who is in them under which names."""
    return inside(
        host,
        "docker network ls -q | xargs docker network inspect --format "
        "'{{.Name}} {{range .IPAM.Config}}{{.Subnet}} {{end}}{{json .Options}} {{json .Labels}}' | sort; "
        "docker inspect --format '{{.Name}} {{.State.Status}} {{range $name, $item := .NetworkSettings.Networks}}{{$name}} "
        "{{$item.Aliases}} {{end}}' runs stopped",
    )


def back(host: Deployment, limit: float) -> None:
    """The host has taken it back, and lets the operator in."""
    deadline = time.monotonic() + limit
    while (
        armed(host) or inside(host, "ls -d /var/lib/smarteros/undoing").startswith("/") or not logs_in(host)
    ):
        assert time.monotonic() < deadline
        time.sleep(1)


def locked_out(host: Deployment) -> bool:
    done = subprocess.run([*host.host.ssh(), "true"], capture_output=True, check=False, timeout=60)
    return done.returncode != 0


def killed(host: Deployment, tmp_path: Path, seconds: int) -> None:
    """A blind run that is ended as soon as its networks are there."""
    with (tmp_path / "out").open("wb") as out:
        run = subprocess.Popen(
            host.argv("-y", deploy=BLIND, revert_seconds=seconds, network_pools=POOL["network_pools"]), cwd=Path(__file__).parents[2], stdout=out,
            stderr=out, stdin=subprocess.DEVNULL, env={**os.environ, "SMARTEROS_LAB": host.lab.name},
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not inside(host, "docker network ls -q --filter name=dokploy-network"):
            assert time.monotonic() < deadline
            assert run.poll() is None, (tmp_path / "out").read_text()
            time.sleep(0.3)
        run.send_signal(signal.SIGKILL)
        run.wait()


def test_a_run_that_does_not_see_who_is_around_takes_itself_back(host: Deployment) -> None:
    before = state(host)
    run = host.refused(deploy=BLIND, revert_seconds=SECONDS, **POOL)
    assert "dokploy-network: does not exist: 172.19.64.0/24" in run.lines
    back(host, SECONDS + 60)
    assert state(host) == before


def test_a_run_that_is_killed_meanwhile_is_taken_back(host: Deployment, tmp_path: Path) -> None:
    before = state(host)
    killed(host, tmp_path, SECONDS)
    assert locked_out(host)
    back(host, SECONDS + 60)
    assert state(host) == before


def test_a_power_cut_meanwhile_brings_the_old_networks(host: Deployment, tmp_path: Path) -> None:
    before = state(host)
    killed(host, tmp_path, 100)
    assert locked_out(host)
    container = host.host.container()
    container.kill()
    container.start()
    back(host, 60)
    assert state(host) == before
    assert inside(host, "systemctl --failed --no-legend") == ""


def test_an_operator_from_within_the_pool_gets_networks_around_himself(host: Deployment) -> None:
    run = host.converge(deploy=RIGHT, **POOL)
    assert MADE in run.changes
    assert "dokploy-network: does not exist: 172.19.65.0/24" in run.lines
    assert "smarter-net: its MTU is 1300, and the way out has 1500: 172.30.7.0/24" in run.lines
    host.unchanged(deploy=RIGHT, **POOL)
    assert host.sh("docker inspect --format '{{.State.Status}}' runs").strip() == "running"
    assert host.sh("docker start stopped && docker exec stopped getent hosts other").split()[-1] == "other"

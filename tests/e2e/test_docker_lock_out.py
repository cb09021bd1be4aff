"""Docker's own range that locks the operator out: it is tried before Docker has it, and the host takes it back."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.test_lock_out import inside
from tests.e2e.test_networks_lock_out import back
from tests.lab import addresses
from tests.lab.lab import Lab

# docker0 gets the last range of the pool's lower half.
POOL = {"network_pools": ["172.19.64.0/20"]}
OPERATOR = "172.19.71.5"
RIGHT, BLIND = "tests/e2e/deploys/networks.py", "tests/e2e/deploys/blind_docker.py"
SECONDS = 30
LOOK = (
    "ls /etc/docker 2>/dev/null; command -v dockerd; ip -o link show smarteros-try 2>/dev/null; "
    "ip -o -4 address show docker0 2>/dev/null | sed 's/.* inet \\([^ ]*\\).*/\\1/'"
)


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[Deployment]:
    """A bare host, which sees this machine at the operator's address."""
    deployment = Deployment(lab, lab.add_host("shut-out"))
    address = deployment.host.address
    gateway = addresses.address(f"{address}/24", 1)
    found = json.loads(subprocess.check_output(["ip", "-j", "-4", "address"]))
    bridge = next(link["ifname"] for link in found for item in link["addr_info"] if item["local"] == gateway)
    subprocess.run(["ip", "address", "add", f"{OPERATOR}/32", "dev", bridge], check=True)
    subprocess.run(["ip", "route", "replace", f"{address}/32", "dev", bridge, "src", OPERATOR], check=True)
    assert deployment.sh("echo ${SSH_CONNECTION%% *}").strip() == OPERATOR
    yield deployment
    subprocess.run(["ip", "route", "delete", f"{address}/32", "dev", bridge], check=True)
    subprocess.run(["ip", "address", "delete", f"{OPERATOR}/32", "dev", bridge], check=True)
    lab.remove_host("shut-out")


def test_a_range_that_shuts_the_operator_out_is_never_dockers(host: Deployment) -> None:
    assert inside(host, LOOK) == ""
    run = host.refused(deploy=BLIND, revert_seconds=SECONDS, **POOL)
    assert "the old state is already back: the new connection came too late" in run.lines
    back(host, SECONDS + 60)
    assert inside(host, LOOK) == ""

    host.converge(deploy=RIGHT, **POOL)
    assert inside(host, LOOK).splitlines() == ["daemon.json", "/usr/sbin/dockerd", "172.19.70.1/24"]
    host.unchanged(deploy=RIGHT, **POOL)

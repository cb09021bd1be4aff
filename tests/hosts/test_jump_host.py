"""A host that another one of the inventory is reached through: real runs on both, and nobody is locked out of either."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.deployment import Deployment
from tests.lab.lab import Lab

ACCESS = "tests/e2e/deploys/access.py"
SSH = "SSH | keys only, named users"
TABLE = "Firewall | our table, loaded at boot"
WAYS = {
    "ProxyJump": "ProxyJump root@{edge}",
    "ProxyCommand": "ProxyCommand ssh -F {config} -W %h:%p root@{edge}",
}


@dataclass(frozen=True)
class Pair:
    """Two hosts, the second of which is reached through the first."""

    edge: Deployment
    behind: Deployment
    config: Path

    def through(self) -> str:
        """The name of the host that a login of the operator's own ends at, through the first."""
        words = ["ssh", "-F", str(self.config), "-oBatchMode=yes", self.behind.host.address, "hostname"]
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False).stdout.strip()


@pytest.fixture(params=WAYS)
def pair(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two bare hosts; nobody but the first may come to the second's port 22."""
    edge, behind = (Deployment(lab, lab.add_host(name)) for name in ("edge-host", "behind"))
    first, second = edge.host.address, behind.host.address
    config = tmp_path / "config"
    key = f"User root\nIdentityFile {lab.state.ssh_key}\nUserKnownHostsFile {lab.state.known_hosts}\n"
    way = WAYS[request.param].format(edge=first, config=config)
    config.write_text(f"Host {second}\n{way}\nHost {first} {second}\n{key}")
    behind.sh("apt-get -q update && apt-get -q install -y --no-install-recommends nftables", timeout=300)
    rules = f"tcp dport 22 ip saddr != {first} reject"
    behind.sh(f"nft 'table ip wall {{ chain in {{ type filter hook input priority 0; {rules}; }}; }}'")
    yield Pair(edge, behind, config)
    for name in ("edge-host", "behind"):
        lab.remove_host(name)


def test_it_goes_on_leading_there_and_runs_go_through_it(pair: Pair) -> None:
    assert pair.through() == "behind"
    settings = {"deploy": ACCESS, "ssh_config_file": str(pair.config)}
    run = pair.edge.converge(**settings)
    assert run.changes == [TABLE, SSH]
    address = pair.behind.host.address
    assert f"sshd: leads on to loopback, {address}:22 alone" in run.output
    assert pair.through() == "behind"
    assert pair.behind.converge(**settings).changes == [TABLE, SSH]
    assert pair.through() == "behind"
    for host in (pair.edge, pair.behind):
        host.unchanged(**settings)


def test_where_the_inventory_does_not_say_so_a_setting_does(pair: Pair) -> None:
    target = f"{pair.behind.host.address}:22"
    pair.edge.converge(deploy=ACCESS)
    assert pair.through() == ""
    assert pair.edge.converge(deploy=ACCESS, jump_to=[target]).changes == [SSH]
    assert pair.through() == "behind"

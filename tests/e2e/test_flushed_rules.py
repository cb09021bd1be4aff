"""Docker's rules in the host's firewall, flushed behind its back: a plan and `make status` say so, a run has them written anew."""

import pytest

from tests.e2e.deployment import Deployment

STATUS = "tasks.commands.status.run"
RULES = "Docker | its rules in the host's firewall"
GONE = (
    "smarter-net, tenants-net, dokploy-network: Docker's rules are gone from the host's firewall (a flush?)"
)
FLUSHED = (
    "firewall: Docker's rules for smarter-net, tenants-net, dokploy-network are gone (a flush?): `make deploy INVENTORY=inventories/lab.py` has Docker "
    "write them anew, which restarts it"
)
TABLE = "firewall: our table is gone, so that the world may reach what listens on the host: `make deploy INVENTORY=inventories/lab.py` loads it"
NO_WAY_OUT = "no way out, where the host itself reaches "


def listed(host: Deployment) -> str:
    """Docker's rules for whole networks: containers have other addresses after a restart."""
    return host.sh("iptables-save | grep -E '^-A (FORWARD|DOCKER-FORWARD|POSTROUTING)' | grep -v /32 | sort")


@pytest.mark.parametrize("flush", ["iptables -F", "iptables -t nat -F", "nft -f /etc/nftables.conf"])
def test_a_flush_is_seen_and_healed(deployed: Deployment, flush: str) -> None:
    before = listed(deployed)
    deployed.sh(flush)
    assert GONE in deployed.run("--dry", yes=False).output
    status = deployed.run(deploy=STATUS)
    assert (status.code, FLUSHED in status.lines, TABLE in status.lines) == (1, True, flush.startswith("nft"))
    # Without a chain that drops what nobody lets through, a flush of the filter alone shuts nobody in.
    assert (NO_WAY_OUT in status.output) is (flush != "iptables -F")
    run = deployed.converge()
    assert RULES in run.changes
    assert listed(deployed) == before
    deployed.unchanged()
    deployed.converge(deploy=STATUS)


def test_chains_that_nothing_leads_to_are_seen_and_healed(deployed: Deployment) -> None:
    """That each by itself is enough for a restart: tests/operations/test_rules.py."""
    deployed.sh("iptables -D FORWARD -j DOCKER-USER; iptables -t nat -F PREROUTING")
    chains = ("DOCKER (iptables -t nat)", "DOCKER-USER (iptables -t filter)")
    status = deployed.run(deploy=STATUS)
    begins = "firewall: Docker's rules that lead to "
    anew = " are gone (a flush?): `make deploy INVENTORY=inventories/lab.py` has Docker write them anew, which restarts it"
    [said] = [line for line in status.lines if line.startswith(begins)]
    assert sorted(said.removeprefix(begins).removesuffix(anew).split(", ")) == sorted(chains)
    assert RULES in deployed.converge().changes
    deployed.converge(deploy=STATUS)
    deployed.unchanged()

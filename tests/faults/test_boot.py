"""Boot: power cuts, restarts of Docker, damage to what unseals Vault, and a Postgres that is killed for memory."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.clients import kept_file, until_healthy
from tests.e2e.deployment import Deployment
from tests.e2e.test_firewall import CONTAINER, PUBLISHED, opens
from tests.e2e.test_reboot import (
    BOOT,
    CREDENTIAL,
    MOST_SECONDS,
    PSQL,
    UNIT,
    comes_back,
)
from tests.e2e.test_status import status
from tests.e2e.vault_access import kept
from tests.e2e.well import not_well, sealed, wait_for

ONLY_VAULT: dict[str, Any] = {"services": ["vault"]}


def test_all_is_well_within_two_minutes_of_a_power_cut(deployed: Deployment) -> None:
    comes_back(deployed, deployed.host.power_cut)


def test_a_restart_of_docker_ends_with_all_well(deployed: Deployment) -> None:
    deployed.sh("systemctl restart docker")
    wait_for(lambda: not_well(deployed), {}, MOST_SECONDS)
    deployed.unchanged()


def test_neither_a_restart_of_docker_nor_a_swarm_opens_anything(deployed: Deployment) -> None:
    before = deployed.sh("nft -s list table inet smarter_fw")
    deployed.sh("systemctl restart docker", timeout=300)
    try:
        deployed.sh(f"docker swarm init --advertise-addr {deployed.host.address}")
        deployed.sh(CONTAINER.format(port=f"0.0.0.0:{PUBLISHED}"))
        listening = deployed.sh("ss -Hltn | awk '{print $4}' | sed 's/.*://' | sort -nu").split()
        assert {"2377", "7946"} <= set(listening)
        assert [port for port in (2377, 7946, PUBLISHED) if opens(deployed, port)] == []
        assert deployed.sh("nft -s list table inet smarter_fw") == before
    finally:
        # Whoever leaves a swarm takes the names from containers that run, until the daemon starts anew.
        deployed.sh("docker rm -f published; docker swarm leave --force; docker network rm docker_gwbridge")
        deployed.sh("systemctl restart docker", timeout=300)
    deployed.converge()
    deployed.unchanged()


def test_a_host_whose_docker_is_down_says_only_that(deployed: Deployment) -> None:
    deployed.sh("systemctl stop docker.socket docker.service")
    run = status(deployed)
    assert run.code == 1
    assert (
        "Docker does not answer: `systemctl status docker` on the host says why; `make deploy INVENTORY=inventories/lab.py` "
        "installs and starts it, and `systemctl restart docker` one that runs and hangs"
    ) in run.lines
    deployed.converge()
    assert status(deployed).code == 0


DAMAGE = {
    "another credential": f"echo x >{CREDENTIAL}",
    "no credential": f"rm {CREDENTIAL}",
    "one that others may read": f"chmod 644 {CREDENTIAL}",
    "a unit by hand": f"echo '#' >>/etc/systemd/system/{UNIT}",
    "stopped": f"systemctl stop {UNIT}",
    "disabled": f"systemctl disable --quiet {UNIT}",
    "a program by hand": "echo exit >/usr/local/lib/smarteros/unseal",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_a_hand_has_changed_is_mended_by_one_run(spare: Deployment, damage: str) -> None:
    spare.converge(**ONLY_VAULT)
    spare.sh(damage)
    assert spare.converge(**ONLY_VAULT).changes == [BOOT]
    spare.sh("docker restart vault")
    wait_for(lambda: sealed(spare), '"sealed":false', 30)
    until_healthy(spare, "vault")
    spare.unchanged(**ONLY_VAULT)


def test_a_host_with_another_key_of_its_own_is_mended(spare: Deployment) -> None:
    """As after a rebuild from an image of the disk that has lost it: the unit cannot even start."""
    spare.converge(**ONLY_VAULT)
    spare.sh(
        "rm -f /var/lib/systemd/credential.secret; systemd-creds setup; systemctl restart smarteros-unseal || true"
    )
    assert spare.converge(**ONLY_VAULT).changes == [BOOT]
    assert spare.sh(f"systemctl is-active {UNIT}") == "active\n"


def test_another_vault_brings_another_credential(spare: Deployment) -> None:
    """The old one's keys are not handed to the new one while the run unseals it."""
    spare.converge(**ONLY_VAULT)
    before = kept(spare)["keys"]
    file = kept_file(spare)
    spare.sh("docker rm -f vault && docker volume rm vault_data")
    file.unlink()
    changes = spare.converge(**ONLY_VAULT).changes
    assert [name for name in changes if name.startswith(("Vault", "Boot"))] == [
        "Vault | Vault runs and answers",
        "Vault | initialised and unsealed",
        "Vault | mounts, policies and roles",
        BOOT,
    ]
    assert set(before).isdisjoint(kept(spare)["keys"])
    spare.sh("docker restart vault")
    wait_for(lambda: sealed(spare), '"sealed":false', 30)
    until_healthy(spare, "vault")
    spare.unchanged(**ONLY_VAULT)


def test_switched_off_the_host_keeps_no_key(spare: Deployment) -> None:
    spare.converge(**ONLY_VAULT)
    off = {**ONLY_VAULT, "unseal_at_boot": False}
    assert spare.converge(**off).changes == [BOOT]
    assert (
        spare.sh("find /etc /usr/local /opt/smarteros /run/credentials -name '*unseal*' 2>/dev/null || true")
        == ""
    )
    spare.unchanged(**off)
    spare.sh("docker restart vault; sleep 6")
    assert sealed(spare) == '"sealed":true'
    until_healthy(spare, "vault")
    assert spare.converge(**off).changes == ["Vault | initialised and unsealed"]
    assert spare.converge(**ONLY_VAULT).changes == [BOOT]


@pytest.fixture
def committed(deployed: Deployment) -> Iterator[Callable[[], tuple[set[str], set[str]]]]:
    """Rows are inserted one by one; the function says which were acknowledged, and which are there."""
    deployed.sh(f"{PSQL} -d postgres -c 'CREATE TABLE IF NOT EXISTS ledger (id int PRIMARY KEY)'")
    insert = "seq 1000000 | sed 's/.*/INSERT INTO ledger VALUES (&) RETURNING id;/'"
    deployed.sh(
        f'systemd-run --quiet --collect --unit ledger sh -c "{insert} | {PSQL} -d postgres >/root/ledger"'
    )

    def both() -> tuple[set[str], set[str]]:
        deployed.sh("systemctl stop ledger 2>/dev/null || true")
        acknowledged = deployed.sh("cat /root/ledger").split("\n")[:-1]
        return set(acknowledged), set(deployed.sh(f"{PSQL} -d postgres -c 'TABLE ledger'").split())

    yield both
    deployed.sh(f"{PSQL} -d postgres -c 'DROP TABLE ledger'; rm /root/ledger")


# The server itself; or, as when a query asks for too much, one of its processes, which makes it recover.
HOG = "docker exec postgres tail /dev/zero"
KILLED = {
    "the server": (
        "echo 1000 >/proc/$(pgrep -o -P $(docker inspect -f '{{.State.Pid}}' postgres))/oom_score_adj; " + HOG
    ),
    "a query": f"{PSQL} -d postgres -c \"SELECT length(repeat('x', 500000000) || repeat('y', 500000000))\"",
}


@pytest.mark.parametrize("kill", KILLED.values(), ids=KILLED)
def test_a_postgres_killed_for_memory_comes_back_with_every_committed_row(
    deployed: Deployment, committed: Callable[[], tuple[set[str], set[str]]], kill: str
) -> None:
    time.sleep(1)
    started = deployed.sh(f"{PSQL} -d postgres -c 'SELECT pg_postmaster_start_time()'")
    deployed.sh(kill, check=False, timeout=300)
    wait_for(lambda: not_well(deployed), {}, MOST_SECONDS)
    acknowledged, there = committed()
    assert len(acknowledged) > 10
    assert acknowledged <= there
    logs = deployed.sh("docker logs --since 5m postgres 2>&1")
    assert "database system was not properly shut down; automatic recovery in progress" in logs
    restarted = deployed.sh(f"{PSQL} -d postgres -c 'SELECT pg_postmaster_start_time()'") != started
    assert restarted == (HOG in kill)
    deployed.unchanged()  # it asks every service by name; each has found its database again

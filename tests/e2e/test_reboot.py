"""Boot: after a reboot, a power cut, a restart of Docker or of one container all comes back by itself, in time."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.clients import until_healthy
from tests.e2e.deployment import Deployment
from tests.e2e.vault_access import kept
from tests.e2e.well import not_well, sealed, wait_for

MOST_SECONDS = 120
BOOT = "Boot | Vault is unsealed after a boot and a restart of its container"
UNIT = "smarteros-unseal.service"
CREDENTIAL = "/etc/credstore.encrypted/smarteros-unseal"
ONLY_VAULT: dict[str, Any] = {"services": ["vault"]}
PSQL = "docker exec -i postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres"


def comes_back(deployment: Deployment, disturb: Callable[[], object]) -> None:
    """All is well within the time, counted from the moment that the host begins to boot."""
    before = rows(deployment)
    disturb()
    started = deployment.host.container().attrs["State"]["StartedAt"]
    already = float(deployment.sh(f"echo $(($(date +%s) - $(date +%s -d {started})))"))
    took = already + wait_for(lambda: not_well(deployment), {}, MOST_SECONDS - already)
    print(f"all healthy {took:.0f} s after the boot began")
    assert took <= MOST_SECONDS
    assert rows(deployment) == before
    deployment.unchanged()


def rows(deployment: Deployment) -> str:
    """What the databases hold of what users made there."""
    return deployment.sh(f"{PSQL} -d n8n -c 'SELECT email, id FROM \"user\"'") + deployment.sh(
        f"{PSQL} -d chatwoot -c 'SELECT count(*) FROM users'"
    )


def test_all_is_well_within_two_minutes_of_a_reboot(deployed: Deployment) -> None:
    comes_back(deployed, deployed.host.reboot)


@pytest.mark.parametrize("disturb", ["docker restart vault", "docker kill vault; docker start vault"])
def test_a_vault_whose_container_alone_restarts_is_unsealed(deployed: Deployment, disturb: str) -> None:
    before = deployed.sh(f"systemctl show -p InvocationID --value {UNIT}")
    deployed.sh(disturb)
    wait_for(lambda: sealed(deployed), '"sealed":false', 30)
    until_healthy(deployed, "vault")
    assert deployed.sh(f"systemctl show -p InvocationID --value {UNIT}") == before
    deployed.unchanged()


def test_the_credential_is_the_hosts_alone_and_the_unit_is_confined(deployed: Deployment) -> None:
    keys = kept(deployed)["keys"]
    assert deployed.sh(f"stat -c '%a %U:%G' {CREDENTIAL}") == "600 root:root\n"
    assert deployed.sh(f"systemd-creds decrypt --name=smarteros-unseal {CREDENTIAL} -").split() == keys[:3]
    encrypted = deployed.sh(
        f"cat {CREDENTIAL}; base64 -d {CREDENTIAL} 2>/dev/null | strings 2>/dev/null; true"
    )
    assert [key for key in keys if key in encrypted] == []
    exposure = deployed.sh(f"systemd-analyze security {UNIT} | tail -1")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+) (\w+)", exposure)
    assert found, exposure
    assert (float(found[1]) <= 2, found[2]) == (True, "OK")
    assert deployed.sh(f"systemd-analyze verify /etc/systemd/system/{UNIT} 2>&1") == ""
    owner = deployed.sh(f"ps -o user= -p $(systemctl show -p MainPID --value {UNIT})").strip()
    assert owner not in ("root", "")
    process = "/proc/$(systemctl show -p MainPID --value smarteros-unseal)"
    seen = deployed.sh(f"cat {process}/environ {process}/cmdline | tr '\\0' '\\n'; journalctl -u {UNIT}")
    assert [key for key in keys if key in seen] == []

"""Retire: a service that is taken off the list goes, its data stay, and back on the list it has them again."""

import ssl

import httpx
import pytest

from tests.e2e.clients import browser, n8n_owner, secrets
from tests.e2e.deployment import Deployment
from tests.lab import smarteros

RETIRE = "Retire | services that are not listed; their volumes, databases and secrets stay"
LESS = [name for name in smarteros.settings().services if name != "n8n"]
N8N = "https://n8n.smarterbot.cl"
PSQL = "docker exec -i postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d n8n -c"
LEFT = (
    "docker ps -aq --filter label=smarteros.service=n8n;"
    " ls -d /root/dkcompose/n8n-deploy.yaml /root/env-templates/n8n.env.example /root/n8n-smarter-config.sh"
    " /vault/secrets/n8n.env 2>/dev/null; ss -Hltn 'sport = :5678'; true"
)


def owner(deployment: Deployment) -> str:
    """The owner's id, by a login with the password from Vault."""
    with n8n_owner(deployment) as session:
        return str(session.get(f"{N8N}/rest/login").json()["data"]["id"])


def test_a_service_goes_with_its_route_keeps_its_data_and_comes_back_with_them(deployed: Deployment) -> None:
    before = owner(deployed), secrets(deployed, "n8n")
    deployed.sh(f"{PSQL} 'CREATE TABLE kept (word text)'; docker exec n8n touch /home/node/.n8n/kept")
    assert deployed.sh(LEFT).split() != []

    names = deployed.sh(
        "docker ps -a --filter label=smarteros.service=n8n --format '{{.Names}}' | sort"
    ).split()
    run = deployed.converge(services=LESS)
    assert run.changes[-1] == RETIRE
    said = (
        f"n8n: not listed, removed: containers {', '.join(names)}; kept: volumes n8n_data, n8n_files; databases of n8n; "
        "secrets in Vault (secret/n8n) with its policy and AppRole; its images; list it again to have it back"
    )
    assert said in run.lines, run.output
    assert deployed.sh(LEFT) == ""
    with pytest.raises((httpx.ConnectError, ssl.SSLError)):
        browser(deployed).get(N8N)
    assert deployed.sh("docker volume ls -q --filter name=n8n_data") == "n8n_data\n"
    assert deployed.sh(f"{PSQL} 'SELECT count(*) FROM kept'") == "0\n"
    deployed.unchanged(services=LESS)

    back = deployed.converge().changes
    assert RETIRE not in back
    assert "Services | n8n Workflows" in back
    assert (owner(deployed), secrets(deployed, "n8n")) == before
    deployed.sh(f"{PSQL} 'DROP TABLE kept'; docker exec n8n rm /home/node/.n8n/kept")
    deployed.unchanged()


def test_what_a_killed_run_left_and_a_container_that_is_no_longer_declared_go_too(
    deployed: Deployment,
) -> None:
    label = "docker create --network none --label smarteros.service"
    deployed.sh(
        f"{label}=zoo --name zoo redis:7.4.11-alpine; {label}=redis --name redis-old redis:7.4.11-alpine;"
        " ln -s /opt/smarteros/current/dkcompose/zoo-deploy.yaml /root/dkcompose/zoo-deploy.yaml;"
        " echo 'KEY=\"1\"' > /vault/secrets/mine.env; chmod 600 /vault/secrets/mine.env"
    )
    run = deployed.converge()
    assert run.changes == [RETIRE]
    assert "redis: no longer part of it, removed: containers redis-old; kept: volumes" in run.lines
    left = "docker ps -a --format '{{.Names}}' | grep -E '^(zoo|redis-old)$'; ls /root/dkcompose | grep zoo"
    assert deployed.sh(left, check=False) == ""
    assert deployed.sh("cat /vault/secrets/mine.env; rm /vault/secrets/mine.env") == 'KEY="1"\n'
    deployed.unchanged()

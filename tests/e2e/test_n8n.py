"""n8n: its data in Postgres, its key and its owner from Vault, and nobody else's database in its reach."""

import json
from datetime import datetime
from shlex import quote
from typing import Any

import pytest

from tasks.data import _database
from tasks.model.catalogue import Database
from tests.e2e.clients import browser, containers, n8n_owner, secrets
from tests.e2e.deployment import Deployment

N8N = "https://n8n.smarterbot.cl"
PSQL = "docker exec -i postgres psql -qAtX -v ON_ERROR_STOP=1"


def sql(deployment: Deployment, query: str, database: str = "postgres") -> str:
    """What a query answers, asked by the superuser."""
    return str(deployment.host.run(f"{PSQL} -U postgres -d {database}", input=query).stdout).strip()


def sql_as_n8n(deployment: Deployment, query: str, database: str) -> str:
    """What the role n8n, with its password from Vault, gets for a query: the answer or the error."""
    login = "read -r PGPASSWORD; export PGPASSWORD; exec psql -qAtX -h postgres -U n8n"
    command = f"docker exec -i postgres sh -c '{login} -d {database}'"
    password = secrets(deployment, "n8n")["DB_POSTGRESDB_PASSWORD"]
    done = deployment.host.run(command, check=False, input=f"{password}\n{query}")
    return str(done.stdout + done.stderr).strip()


def test_its_data_is_in_postgres(deployed: Deployment) -> None:
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert sql(deployed, owners, "n8n") == "n8n"
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename IN ({}) ORDER BY 1"
    wanted = "'workflow_entity', 'credentials_entity', 'execution_entity'"
    assert sql(deployed, tables.format(wanted), "n8n").split() == [
        "credentials_entity",
        "execution_entity",
        "workflow_entity",
    ]
    files = deployed.sh("docker exec n8n find /home/node/.n8n -name '*sqlite*'")
    assert files == ""


def test_its_role_can_do_nothing_elsewhere(deployed: Deployment) -> None:
    flags = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles"
    assert sql(deployed, f"{flags} WHERE rolname = 'n8n'") == "f|f|f|f|f"
    assert sql_as_n8n(deployed, "SELECT count(*) > 0 FROM workflow_entity", "n8n") in "tf"
    assert sql_as_n8n(deployed, "SELECT 1 FROM pg_authid", "n8n").endswith(
        "permission denied for table pg_authid"
    )


def test_its_role_cannot_enter_another_services_database(deployed: Deployment) -> None:
    other = Database("other", secret="PASSWORD")
    statements = ['CREATE ROLE "other";', *_database(other, {})]
    try:
        sql(deployed, "\n".join(statements))
        answer = sql_as_n8n(deployed, "SELECT 1", "other")
    finally:
        sql(deployed, "DROP DATABASE IF EXISTS other;\nDROP ROLE IF EXISTS other;")
    assert answer.endswith(
        'permission denied for database "other"\nDETAIL:  User does not have CONNECT privilege.'
    )


def test_its_encryption_key_is_vaults(deployed: Deployment) -> None:
    key = secrets(deployed, "n8n")["N8N_ENCRYPTION_KEY"]
    assert len(key) == 48
    environment = containers(deployed)["n8n"]["Config"]["Env"]
    assert [line for line in environment if line.startswith("N8N_ENCRYPTION_KEY=")] == [
        f"N8N_ENCRYPTION_KEY={key}"
    ]
    assert json.loads(deployed.sh("docker exec n8n cat /home/node/.n8n/config")) == {"encryptionKey": key}


def test_its_owner_is_there_already(deployed: Deployment) -> None:
    visitor = browser(deployed)
    settings = visitor.get(f"{N8N}/rest/settings").json()["data"]
    assert settings["userManagement"]["showSetupOnFirstLoad"] is False
    claim = {"email": "m@example.com", "firstName": "M", "lastName": "M", "password": "Mallory-was-here-1"}
    refused = visitor.post(f"{N8N}/rest/owner/setup", json=claim)
    assert (refused.status_code, refused.json()["message"]) == (400, "Instance owner already setup")
    wrong = {"emailOrLdapLoginId": "ops@smarterbot.cl", "password": "Mallory-was-here-1"}
    assert visitor.post(f"{N8N}/rest/login", json=wrong).status_code == 401


def test_the_owner_logs_in_with_the_password_from_vault(deployed: Deployment) -> None:
    with n8n_owner(deployed) as session:
        user = session.get(f"{N8N}/rest/login").json()["data"]
    assert (user["email"], user["role"]) == ("ops@smarterbot.cl", "global:owner")


def test_n8n_is_its_owners_before_its_domain_answers(deployed: Deployment) -> None:
    with n8n_owner(deployed) as session:
        before = session.get(f"{N8N}/rest/login").json()["data"]["id"]
        deployed.sh("docker stop n8n; docker rm -f caddy-proxy n8n")
        assert deployed.converge().changes == ["Services | n8n Workflows", "Proxy | Caddy"]
        found = containers(deployed)
        assert first_healthy(found["n8n"]) <= moment(found["caddy-proxy"]["State"]["StartedAt"])
        # The same owner, and the session made before is still good: nothing was lost with the container.
        assert session.get(f"{N8N}/rest/login").json()["data"]["id"] == before
    deployed.unchanged()


def first_healthy(found: dict[str, Any]) -> datetime:
    """When the container's health check succeeded first, of the last five that Docker remembers."""
    return min(moment(entry["End"]) for entry in found["State"]["Health"]["Log"] if entry["ExitCode"] == 0)


def moment(text: str) -> datetime:
    """Docker's time, which has nanoseconds."""
    return datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00")


@pytest.mark.parametrize("password", ["", "n8n", "postgres"])
def test_its_role_needs_its_password(deployed: Deployment, password: str) -> None:
    login = "read -r PGPASSWORD; export PGPASSWORD; exec psql -w -h postgres -U n8n -d n8n -c 'SELECT 1'"
    done = deployed.host.run(f'docker exec -i postgres sh -c "{login}"', check=False, input=f"{password}\n")
    assert done.returncode == 2


def test_npm_which_installs_community_nodes_has_a_cache_that_it_can_write(deployed: Deployment) -> None:
    """As n8n starts it, with a package of our own, since no registry need be in reach."""
    script = """mkdir -p /tmp/a-node && cd /tmp/a-node
        echo '{"name": "n8n-nodes-none", "version": "1.0.0"}' >package.json
        npm pack --ignore-scripts --no-update-notifier --loglevel=error . 2>&1
        echo $?
        rm -rf /tmp/a-node"""
    inside = "docker exec n8n sh -c "
    assert deployed.sh(f"{inside}{quote(script)}").split() == ["n8n-nodes-none-1.0.0.tgz", "0"]
    without = deployed.sh(f"{inside}{quote(f'unset NPM_CONFIG_CACHE; {script}')}")
    assert "/home/node/.npm" in without, without
    assert without.split()[-1] != "0"


def test_workflows_have_a_folder_for_files_that_outlives_the_container(deployed: Deployment) -> None:
    inside = "docker exec n8n sh -c "
    folder = deployed.sh(f"{inside}'echo $N8N_RESTRICT_FILE_ACCESS_TO'").strip()
    deployed.sh(f"{inside}'echo kept >{folder}/of-a-workflow'")
    try:
        deployed.sh("docker rm -f n8n")
        deployed.converge()
        assert deployed.sh(f"{inside}'cat {folder}/of-a-workflow'") == "kept\n"
    finally:
        deployed.sh(f"{inside}'rm -f {folder}/of-a-workflow'")

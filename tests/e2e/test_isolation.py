"""Isolation of the services' data: every password its own, every role in its own database alone."""

import json
from shlex import quote

import pytest

from tasks.services import load
from tests.e2e.clients import secrets
from tests.e2e.deployment import Deployment
from tests.lab import smarteros

SERVICES = load(smarteros.settings())
OWNED = [(service, database) for service in SERVICES for database in service.databases]


@pytest.fixture(scope="module")
def found(deployed: Deployment) -> dict[str, dict[str, str]]:
    """What Vault holds for every service."""
    return {service.name: secrets(deployed, service.name) for service in SERVICES if service.secrets}


def test_every_secret_of_every_service_is_its_own(found: dict[str, dict[str, str]]) -> None:
    declared = {(service.name, secret.name) for service in SERVICES for secret in service.secrets}
    values = {(name, key): value for name, pairs in found.items() for key, value in pairs.items()}
    assert declared <= set(values)
    assert len(set(values.values())) == len(values)
    assert [where for where, value in values.items() if len(value) < 20] == []


def test_each_role_is_in_its_own_database_alone(
    deployed: Deployment, found: dict[str, dict[str, str]]
) -> None:
    """Over the network with the password, as a service comes; the maintenance database is Odoo's way in."""
    names = [*(database.name for _, database in OWNED), "postgres", "template1"]
    script = ["set -u"]
    for service, database in OWNED:
        script.append(f"export PGPASSWORD={quote(found[service.name][database.secret])}")
        script += [
            f"""printf '%s ' {database.name} {name}; psql -h postgres -U {database.name} -d {name} -qAtc 'SELECT 1' 2>&1 |
            sed -n '1s/.*permission denied.*/denied/; 1p'"""
            for name in names
        ]
    inside = deployed.host.run("docker exec -i postgres sh", input="\n".join(script)).stdout
    got = [line.split() for line in inside.splitlines() if len(line.split()) == 3]
    wanted = [
        [
            database.name,
            name,
            "1" if name == database.name or (database.name, name) == ("odoo", "postgres") else "denied",
        ]
        for _, database in OWNED
        for name in names
    ]
    assert got == wanted


def test_only_odoo_makes_databases_and_none_is_a_superuser(deployed: Deployment) -> None:
    query = (
        "SELECT json_object_agg(rolname, json_build_array(rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls)) "
        "FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'"
    )
    roles = json.loads(deployed.sh(f'docker exec postgres psql -U postgres -qAtc "{query}"'))
    may = {database.name: [False, database.name == "odoo", False, False, False] for _, database in OWNED}
    assert roles == may


def test_each_redis_client_has_a_user_of_its_own(
    deployed: Deployment, found: dict[str, dict[str, str]]
) -> None:
    users = {
        service.redis.name: found[service.name][service.redis.secret] for service in SERVICES if service.redis
    }
    assert users
    admin = found["redis"]["REDIS_PASSWORD"]
    script = [
        f"REDISCLI_AUTH={quote(admin)} redis-cli acl users",
        "redis-cli ping 2>&1 | grep -o NOAUTH",
        *(
            f"REDISCLI_AUTH={quote(password)} redis-cli --user {name} {command} 2>&1 | cut -c1-6"
            for name, password in users.items()
            for command in ("ping", "config get requirepass", "acl list", "flushall")
        ),
    ]
    said = deployed.host.run("docker exec -i redis sh", input="\n".join(script)).stdout.split()
    assert said == [
        *sorted(["default", *users]),
        "NOAUTH",
        *(["PONG", "NOPERM", "NOPERM", "NOPERM"] * len(users)),
    ]

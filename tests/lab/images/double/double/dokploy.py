"""Dokploy 0.30: the three steps of its start (wait for Postgres, migrate, serve), each as upstream names it.

Stricter than upstream, which only warns where it falls back to a password or a secret that everybody knows.
Not here: whatever needs a swarm, Git or the internet.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from double import needs
from double.contract import POSTGRES_URL, Environment, Refused, Rule, demand, secret_file, writable
from double.docker_socket import DockerSocket
from double.dokploy_api import Dokploy
from double.dokploy_state import TABLES
from double.store import Database, wait_for_port
from double.web import serve

# The least that v0.30.2 was seen to run with (built from its source): 1024 MB with a heap of 768 MB. With one of 512 MB it
# ends 15 s after its start, whatever else the container has.
HEAP_MB, MEMORY_MB = 768, 1024
KNOWN_PASSWORD = "amukds4wi9001583845717ad2"
KNOWN_SECRET = "better-auth-secret-123456789"
RULES = (
    Rule("DATABASE_URL", POSTGRES_URL, "postgres://user:password@host:port/database", required=False),
    Rule("POSTGRES_PORT", r"\d+", "a number", required=False),
    Rule("POSTGRES_WAIT_TIMEOUT", r"\d+", "milliseconds", required=False),
    Rule("PORT", r"\d+", "a number", required=False),
)
NO_DATABASE = "DATABASE_URL and POSTGRES_PASSWORD_FILE are missing: Dokploy would fall back to a password that is public"
NO_SECRET = "BETTER_AUTH_SECRET and BETTER_AUTH_SECRET_FILE are missing: Dokploy would fall back to a secret that is public"
# compose is made with the first project.
FOLDERS = (
    "traefik/dynamic/certificates", "logs", "applications", "ssh", "monitoring", "schedules", "volume-backups",
)  # fmt: skip


def run(arguments: list[str], environment: Environment) -> None:
    """One step of the start."""
    url, secret = check(environment)
    database = Database(url)
    match arguments:
        case ["wait-for-postgres"]:
            parts = urlsplit(url)
            seconds = int(environment.get("POSTGRES_WAIT_TIMEOUT") or 120_000) / 1000
            wait_for_port(parts.hostname or "", parts.port or 5432, seconds)
        case ["migration"]:
            database.login()
            database.migrate(TABLES)
            print("Migration complete")
        case ["server"]:
            _serve(database, secret, environment)
        case _:
            raise Refused(f"cannot run {' '.join(arguments)!r}: wait-for-postgres, migration or server")


def check(environment: Environment) -> tuple[str, str]:
    """The database's URL and the secret of all sessions; neither may be one of upstream's fallbacks."""
    url = _database_url(environment)
    secret = secret_file(environment, "BETTER_AUTH_SECRET")
    secret_file(environment, "ENCRYPTION_KEY")
    problems = [
        "" if url else NO_DATABASE,
        "" if secret else NO_SECRET,
        "the database's password is Dokploy's public fallback" if KNOWN_PASSWORD in url else "",
        "BETTER_AUTH_SECRET is Dokploy's public fallback" if secret == KNOWN_SECRET else "",
    ]
    demand(environment, RULES, problems)
    return url, secret


def _database_url(environment: Environment) -> str:
    if environment.get("DATABASE_URL"):
        return environment["DATABASE_URL"]
    password = secret_file(
        {"POSTGRES_PASSWORD_FILE": environment.get("POSTGRES_PASSWORD_FILE", "")}, "POSTGRES_PASSWORD"
    )
    if not password:
        return ""
    defaults = {"USER": "dokploy", "HOST": "dokploy-postgres", "PORT": "5432", "DB": "dokploy"}
    user, host, port, name = (environment.get(f"POSTGRES_{key}") or value for key, value in defaults.items())
    return f"postgres://{user}:{quote(password, safe='')}@{host}:{port}/{name}"


def _serve(database: Database, secret: str, environment: Environment) -> None:
    needs.node_heap(HEAP_MB, environment)
    needs.memory(MEMORY_MB)
    database.login()
    if not database.has_table("compose"):
        raise Refused('relation "compose" does not exist: the migration has not run')
    root = writable("/etc/dokploy")
    for folder in FOLDERS:
        writable(root / folder)
    (root / "ssh").chmod(0o700)
    docker = DockerSocket(
        environment.get("DOCKER_HOST", "").removeprefix("unix://") or "/var/run/docker.sock"
    )
    docker.demand()
    docker.demand_network("dokploy-network")
    # BETTER_AUTH_TRUSTED_ORIGINS is of no use: what Dokploy knows itself takes its place before a sign-in is checked.
    site = Dokploy(database, secret, docker, environment.get("BETTER_AUTH_URL", "")).site()
    serve(site, int(environment.get("PORT") or 3000), environment.get("HOST") or "0.0.0.0")

"""Data: Postgres and Redis run; every service has its own role and database, and only that.

A role's password is compared through the SCRAM verifier that Postgres stores (RFC 5802). We make the
verifier here, with a salt derived from the digest key: the same password always gives the same one,
so a difference is seen without the password ever reaching Postgres, its logs or a command line.

A service that is made anew for its new secrets has its role's password changed by its own start, and not here: until then it needs
the one of before.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pyinfra.api import StringCommand

from tasks import secrets
from tasks.clients import vault_values
from tasks.facts import DockerFact
from tasks.model.catalogue import Database, Service
from tasks.model.objects import second
from tasks.operations import containers, postgres, redis, rolling
from tasks.operations.described import digests, mounted
from tasks.rendering import psql
from tasks.run import Commands, Refused, executing, known, operation, services
from tasks.secrets import coming

_ITERATIONS = 4096
SUPERUSER = "postgres"


def run() -> None:
    """The phase."""
    for service in services():
        if service.name == "redis":
            redis.put_back(service, digests(service), name="Data | Redis: what was changed by hand")
        if service.phase == "data":
            containers.start(
                service,
                digests(service),
                mounted(service),
                partial(coming, service),
                name=f"Data | {service.title}",
            )
    if any(service.name == "postgres" for service in services()):
        databases(name="Data | roles, databases and extensions")


@operation
def databases() -> Commands:
    """Roles with their passwords, databases with their owners and extensions; nobody else may connect."""
    owned = [(service, database) for service in services() for database in service.databases]
    passwords = (
        ("postgres", "POSTGRES_PASSWORD"),
        *((item.name, database.secret) for item, database in owned),
    )
    if secrets.to_come(*passwords) or not (executing() or _runs()):
        yield "true"  # planning on a host where no Postgres runs, or with passwords that are still to be made
        return
    statements = list(_statements(owned, _server(), _made_anew))
    if statements:
        yield StringCommand(psql.told("postgres"), _stdin="\n".join([*statements, "\\q"]))


def password(service: Service) -> str:
    """What psql is told so that its roles have Vault's passwords; empty where they have."""
    roles = _server().get("roles") or {}
    lines = [line for database in service.databases for line in _owner(service, database, roles)]
    return "\n".join(lines)


def _made_anew(service: Service) -> bool:
    return service.phase == "services" and containers.stale(service, partial(coming, service))


def _server() -> dict[str, Any]:
    found = postgres.state()
    if not found.server:
        why = next(
            postgres.wrong(found.shut, ()),
            "Postgres runs but its own psql cannot log in; see `docker logs postgres`",
        )
        raise Refused(why)
    return found.server


def _runs() -> bool:
    state = known(DockerFact).containers.get("postgres")
    return state is not None and state.status == "running"


def _statements(
    owned: list[tuple[Service, Database]],
    found: dict[str, Any],
    made_anew: Callable[[Service], bool] = lambda _: False,
) -> Iterator[str]:
    roles = found.get("roles") or {}
    yield from _role(SUPERUSER, vault_values.values("postgres")["POSTGRES_PASSWORD"], roles, "")
    for service, database in owned:
        role = list(_owner(service, database, roles))
        if role and not (database.name in roles and made_anew(service)):
            yield from role
        yield from _alone(database.name, roles)
        yield from _left(service, database, roles)
        yield from _database(database, found)
    yield from _closed([database for _, database in owned], found)


def _owner(service: Service, database: Database, roles: dict[str, Any]) -> Iterator[str]:
    given = vault_values.values(service.name)[database.secret]
    flags = f" NOSUPERUSER {'' if database.create_databases else 'NO'}CREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    return _role(database.name, given, roles, flags)


def _role(name: str, password: str, roles: dict[str, Any], flags: str) -> Iterator[str]:
    stored = verifier(name, password)
    have = roles.get(name, {})
    if not have:
        yield f'CREATE ROLE "{name}" LOGIN;'
    rights = (have.get("super"), have.get("createdb"), have.get("more"))
    wrong_flags = flags and rights != (False, "NOCREATEDB" not in flags, False)
    if have.get("shut"):
        yield f"ALTER ROLE \"{name}\" CONNECTION LIMIT -1 VALID UNTIL 'infinity';"
    if wrong_flags or have.get("shut") or have.get("password") != hashlib.sha256(stored.encode()).hexdigest():
        yield f"ALTER ROLE \"{name}\"{flags} LOGIN PASSWORD '{stored}';"


def _alone(name: str, roles: dict[str, Any]) -> Iterator[str]:
    """It has no other role's rights: pg_execute_server_program, say, runs what it likes as the server."""
    for role, grantor in roles.get(name, {}).get("member") or ():
        of, by = (each.replace('"', '""') for each in (role, grantor))
        yield f'REVOKE "{of}" FROM "{name}" GRANTED BY "{by}" CASCADE;'


def _left(service: Service, database: Database, roles: dict[str, Any]) -> Iterator[str]:
    """A second one's role that a rotation which was cut short has left, or a restore to its time has brought back (role.py)."""
    name = second(database.name)
    if database.variable and name in roles:
        there = known(DockerFact).containers.keys()
        if there.isdisjoint(map(second, rolling.routed(service))):
            yield f'DROP ROLE "{name}";'


def _database(database: Database, found: dict[str, Any]) -> Iterator[str]:
    name = database.name
    have = (found.get("databases") or {}).get(name)
    if have is None:
        yield f'CREATE DATABASE "{name}" OWNER "{name}" ENCODING \'UTF8\' TEMPLATE template0;'
    elif have["owner"] != name:
        yield f'ALTER DATABASE "{name}" OWNER TO "{name}";'
    if have is None or have["public"]:
        yield f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC;'
    shut = have is not None and have["shut"]
    if shut:
        yield f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true CONNECTION LIMIT -1;'
    extensions = found.get("extensions") or {}
    if have is not None and not shut and database.extensions and name not in extensions:
        raise Refused(f"the database {name} does not say which extensions it has: see `docker logs postgres`")
    missing = sorted(set(database.extensions) - set(extensions.get(name) or ()))
    if missing:
        yield f'\\connect "{name}"'
        yield from (f'CREATE EXTENSION IF NOT EXISTS "{extension}";' for extension in missing)
        yield '\\connect "postgres"'


def _closed(owned: list[Database], found: dict[str, Any]) -> Iterator[str]:
    """Nobody may connect to a database that is not theirs, also not to the server's own and to those that a
    service made; a role that makes databases does it from ``postgres``.
    """
    databases = found.get("databases") or {}
    names = {database.name for database in owned}
    for name, have in databases.items():
        if have["public"] and name not in names:
            # A service that may make databases has chosen this name; it must not end what quotes it.
            quoted = name.replace('"', '""')
            yield f'REVOKE ALL ON DATABASE "{quoted}" FROM PUBLIC;'
    guests = databases.get(SUPERUSER, {}).get("guests") or ()
    for database in owned:
        if database.create_databases and database.name not in guests:
            yield f'GRANT CONNECT ON DATABASE "{SUPERUSER}" TO "{database.name}";'


def verifier(role: str, password: str) -> str:
    """What Postgres stores for a SCRAM-SHA-256 password (pg_authid.rolpassword). Raises Refused beyond ASCII,
    where clients would prepare the password in ways of their own (RFC 4013).
    """
    if not password.isascii() or not password.isprintable():
        raise Refused(f"the password of the database role {role!r} may hold printable ASCII only")
    return scram(password, secrets.keyed_bytes("role", role, password))


def scram(password: str, salt: bytes) -> str:
    """Postgres' form of a SCRAM-SHA-256 verifier (RFC 5802, 7677)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    parts = (salt, stored, _hmac(salted, b"Server Key"))
    encoded_salt, encoded_stored, encoded_server = (base64.b64encode(part).decode() for part in parts)
    return f"SCRAM-SHA-256${_ITERATIONS}:{encoded_salt}${encoded_stored}:{encoded_server}"


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()

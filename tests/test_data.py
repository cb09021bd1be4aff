"""Roles and databases: the SCRAM verifier, and exactly the statements that a difference needs."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tasks import data
from tasks.model.catalogue import Container, Database, Health, Route, Service, Size
from tasks.operations import containers
from tasks.operations.described import digests, mounted
from tasks.run import Refused, remember, services
from tests.fake import commands, fake, stdin

SECRETS = {
    "smarteros": {"DIGEST_KEY": "00" * 32},
    "postgres": {"POSTGRES_PASSWORD": "super-secret"},
    "crm": {"DB_PASSWORD": "pencil"},
}
DATABASE = Database("crm", secret="DB_PASSWORD")
# What these two passwords and that digest key give, whatever the run and the machine.
CRM = (
    "SCRAM-SHA-256$4096:66/CPxwE2ecXnOp5wvCfRQ=="
    "$bnB/D6xkCmtUKMiS+wyg1TyVaux7g/U+omL8ImxfQuc=:szewi0T2R383Kwh1fIYdG26pDLrMz7np+wpJxlboLwo="
)
SUPERUSER = (
    "SCRAM-SHA-256$4096:MyzyRuEff1YdpmjTWtNwKg=="
    "$uI4948NOVD0PS66L1o+MkpyikbYoxfZ+r3nlqubwLRY=:nNbiESLHQ1zCFEcwbSNadVHDcToMP+ebBC653HzORo8="
)
RIGHT_ROLE = {
    "password": hashlib.sha256(CRM.encode()).hexdigest(),
    "createdb": False,
    "super": False,
    "more": False,
    "shut": False,
    "member": None,
}
RIGHT_DATABASE = {"owner": "crm", "public": False, "shut": False}


@pytest.fixture(autouse=True)
def _run() -> Iterator[None]:
    with fake({}):
        for path, values in SECRETS.items():
            remember(("secrets", path), partial(tuple, (values, 1)))
        yield


def found(
    role: dict[str, Any] | None = None,
    database: dict[str, Any] | None = None,
    extensions: list[str] | None = None,
) -> dict[str, Any]:
    """What Postgres says when all is as it should be, but for these differences."""
    superuser = {
        "password": hashlib.sha256(SUPERUSER.encode()).hexdigest(),
        "createdb": True,
        "super": True,
        "more": True,
        "shut": False,
        "member": None,
    }
    return {
        "roles": {"postgres": superuser, "crm": RIGHT_ROLE | (role or {})},
        "databases": {
            "postgres": {"owner": "postgres", "public": False, "shut": False, "guests": ["crm"]},
            "crm": RIGHT_DATABASE | (database or {}),
        },
        "extensions": {"crm": extensions},
    }


def statements(state: dict[str, Any], database: Database = DATABASE) -> list[str]:
    container = Container("crm", "crm:1", Health(("true",)), Size(memory_mb=1, cpus=1))
    return list(data._statements([(Service("crm", "CRM", (container,)), database)], state))


def test_the_verifier_is_the_one_of_the_example_in_rfc_7677() -> None:
    salt, proof, signature = (
        base64.b64decode(text)
        for text in (
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        )
    )
    exchange = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    mechanism, salted, keys = data.scram("pencil", salt).split("$")
    stored, server = (base64.b64decode(key) for key in keys.split(":"))
    assert (mechanism, salted) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
    # A server that holds the verifier accepts the example's client, and answers as the example's server.
    sent = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, exchange, "sha256"), strict=True))
    assert hashlib.sha256(sent).digest() == stored
    assert hmac.digest(server, exchange, "sha256") == signature


def test_the_same_role_and_password_always_give_the_same_verifier() -> None:
    assert data.verifier("crm", "pencil") == CRM
    assert data.verifier("postgres", "super-secret") == SUPERUSER


def test_equal_passwords_of_two_roles_do_not_show_as_equal() -> None:
    assert data.verifier("crm", "pencil") != data.verifier("n8n", "pencil")


@pytest.mark.parametrize("password", ["contraseña", "tab\tbed", "line\n", "\u2003"])
def test_a_password_that_clients_would_prepare_in_ways_of_their_own_is_refused(password: str) -> None:
    with pytest.raises(Refused) as caught:
        data.verifier("crm", password)
    assert str(caught.value) == "the password of the database role 'crm' may hold printable ASCII only"


def test_nothing_is_said_to_a_server_that_is_right() -> None:
    assert statements(found()) == []


def test_a_new_service_gets_a_role_a_database_and_nobody_else_into_it() -> None:
    state = found()
    del state["roles"]["crm"], state["databases"]["crm"]
    assert statements(state) == [
        'CREATE ROLE "crm" LOGIN;',
        f"ALTER ROLE \"crm\" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN PASSWORD '{CRM}';",
        'CREATE DATABASE "crm" OWNER "crm" ENCODING \'UTF8\' TEMPLATE template0;',
        'REVOKE ALL ON DATABASE "crm" FROM PUBLIC;',
    ]


def test_a_changed_password_is_set_and_nothing_else() -> None:
    changed = f"ALTER ROLE \"crm\" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN PASSWORD '{CRM}';"
    assert statements(found(role={"password": "other"})) == [changed]


def test_the_role_of_a_service_that_is_made_anew_is_told_by_its_start() -> None:
    container = Container("crm", "crm:1", Health(("true",)), Size(memory_mb=1, cpus=1))
    service = Service("crm", "CRM", (container,), databases=(DATABASE,))
    changed = f"ALTER ROLE \"crm\" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN PASSWORD '{CRM}';"
    asked: list[str] = []

    def told(state: dict[str, Any], *, anew: bool) -> list[str]:
        def made(item: Service) -> bool:
            asked.append(item.name)
            return anew

        return list(data._statements([(service, DATABASE)], state, made))

    other = found(role={"password": "other"}, database={"public": True})
    closed = 'REVOKE ALL ON DATABASE "crm" FROM PUBLIC;'
    assert told(other, anew=True) == [closed]
    assert told(other, anew=False) == [changed, closed]
    assert asked == ["crm", "crm"]
    assert told(found(), anew=True) == []
    assert asked == ["crm", "crm"]
    absent = found()
    del absent["roles"]["crm"]
    assert told(absent, anew=True) == ['CREATE ROLE "crm" LOGIN;', changed]


HELD = {
    **SECRETS,
    "metabase": {"MB_DB_PASS": "new", "MB_ENCRYPTION_SECRET_KEY": "k", "ADMIN_PASSWORD": "a"},
}


def told(*docker: str, password: str, executing: bool = True) -> tuple[list[str], list[str]]:
    """What a run with Metabase alone says to Postgres in the data phase, and with Metabase's start."""
    verifier = hashlib.sha256(password.encode()).hexdigest()
    state = found()
    state["roles"]["metabase"] = {
        "password": verifier,
        "createdb": False,
        "super": False,
        "more": False,
        "shut": False,
        "member": None,
    }
    state["databases"] |= {
        "metabase": {"owner": "metabase", "public": False, "shut": False},
        "crm": RIGHT_DATABASE,
    }
    server = {"roles": state["roles"], "databases": {}}
    for name, each in state["databases"].items():
        server["databases"][name] = {"guests": None, "done": None, **each}
    answers = {
        "docker ps -aq": ["e|metabase|s2", *docker],
        "pg_authid": ["server|" + json.dumps(server), 'extensions|metabase|["citext"]'],
    }
    settings = {"services": ["postgres", "metabase"], "vault_address": "https://vault.example"}
    with fake(answers, executing=executing, **settings):
        for path, values in HELD.items():
            remember(("secrets", path), partial(tuple, (values, 1)))
        remember("vault", lambda: (None, float("inf")))
        service = next(item for item in services() if item.name == "metabase")
        first = commands(data.databases)
        second = commands(
            containers.start,
            service,
            digests(service),
            mounted(service),
            str,
            partial(data.password, service),
        )
        said = [
            [stdin(item) for item in each if "_stdin" in item.connector_arguments] for each in (first, second)
        ]
        return said[0], said[1]


WITH = "c|/smarteros-metabase|metabase|d|{}|{}|0|metabase/metabase:v0.64.1.5|smarter-net "


@pytest.mark.parametrize(
    ("docker", "with_its_start"),
    [
        ((WITH.format("s1", "running|healthy"),), True),
        ((WITH.format("s1", "exited|"),), True),
        ((WITH.format("s2", "running|healthy"),), False),
        ((), False),
    ],
    ids=["other secrets", "other secrets, stopped by a run that was cut short", "the same secrets", "absent"],
)
def test_a_run_tells_postgres_each_password_once(docker: tuple[str, ...], *, with_its_start: bool) -> None:
    with fake({}):
        remember(("secrets", "smarteros"), partial(tuple, (SECRETS["smarteros"], 1)))
        right = data.verifier("metabase", "new")
    alter = f"ALTER ROLE \"metabase\" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN PASSWORD '{right}';"
    early, late = told(*docker, password="other")
    assert (early, late) == (([], [alter]) if with_its_start else ([f"{alter}\n\\q"], []))
    assert told(*docker, password=right) == ([], [])


def test_a_start_does_not_go_on_where_postgres_cannot_be_told() -> None:
    container = Container("crm", "crm:1", Health(("true",)), Size(memory_mb=1, cpus=1))
    with pytest.raises(Refused, match="psql cannot log in"):
        data.password(Service("crm", "CRM", (container,), databases=(DATABASE,)))


def test_the_superusers_changed_password_is_set_and_its_rights_are_kept() -> None:
    state = found()
    state["roles"]["postgres"]["password"] = "other"
    assert statements(state) == [f"ALTER ROLE \"postgres\" LOGIN PASSWORD '{SUPERUSER}';"]


@pytest.mark.parametrize(
    ("variable", "lines", "drops"),
    [
        ("PGUSER", [], True),
        ("PGUSER", ["c|/crm-second|crm|d1|s1|running|healthy|0|crm:1|smarter-net "], False),
        ("", [], False),
    ],
    ids=["nobody has it", "a second one stands in", "a role of somebody's"],
)
def test_a_second_ones_role_goes_where_no_second_one_is_there(
    variable: str, lines: list[str], *, drops: bool
) -> None:
    """A rotation that was cut short, or a restore to its time."""
    state = found()
    state["roles"]["crm-second"] = RIGHT_ROLE
    database = replace(DATABASE, variable=variable)
    service = Service(
        "crm",
        "CRM",
        (Container("crm", "crm:1", Health(("true",)), Size(memory_mb=1, cpus=1)),),
        routes=(Route("crm", "crm", 80),),
    )
    with fake({"docker ps -aq": lines}):
        for path, values in SECRETS.items():
            remember(("secrets", path), partial(tuple, (values, 1)))
        told = list(data._statements([(service, database)], state))
    assert told == (['DROP ROLE "crm-second";'] if drops else [])


@pytest.mark.parametrize("right", ["super", "createdb", "more"])
def test_a_right_too_many_is_taken_away(right: str) -> None:
    assert statements(found(role={right: True})) == [
        f"ALTER ROLE \"crm\" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN PASSWORD '{CRM}';"
    ]


def test_what_it_has_of_other_roles_is_taken_away() -> None:
    state = found(role={"member": [["pg_monitor", "postgres"], ['o"dd', "eve"]]})
    assert statements(state) == [
        'REVOKE "pg_monitor" FROM "crm" GRANTED BY "postgres" CASCADE;',
        'REVOKE "o""dd" FROM "crm" GRANTED BY "eve" CASCADE;',
    ]


def test_nobody_is_let_into_a_database_that_is_not_theirs() -> None:
    state = found()
    state["databases"]["template1"] = {"owner": "postgres", "public": True, "shut": False, "guests": None}
    state["databases"]["tenant"] = {"owner": "crm", "public": True, "shut": False, "guests": None}
    assert statements(state) == [
        'REVOKE ALL ON DATABASE "template1" FROM PUBLIC;',
        'REVOKE ALL ON DATABASE "tenant" FROM PUBLIC;',
    ]


def test_who_makes_databases_is_let_into_the_servers_own() -> None:
    state = found(role={"createdb": True})
    state["databases"]["postgres"]["guests"] = None
    tenants = Database("crm", secret="DB_PASSWORD", create_databases=True)
    assert statements(state, tenants) == ['GRANT CONNECT ON DATABASE "postgres" TO "crm";']


def test_a_role_that_makes_databases_of_its_own_may() -> None:
    tenants = Database("crm", secret="DB_PASSWORD", create_databases=True)
    assert statements(found(), tenants) == [
        f"ALTER ROLE \"crm\" NOSUPERUSER CREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN PASSWORD '{CRM}';"
    ]
    assert statements(found(role={"createdb": True}), tenants) == []


def test_a_role_and_a_database_that_let_nobody_in_are_opened_again() -> None:
    """As maintenance leaves them: NOLOGIN, VALID UNTIL a time that is over, ALLOW_CONNECTIONS false, CONNECTION LIMIT 0."""
    assert statements(found(role={"shut": True})) == [
        "ALTER ROLE \"crm\" CONNECTION LIMIT -1 VALID UNTIL 'infinity';",
        f"ALTER ROLE \"crm\" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN PASSWORD '{CRM}';",
    ]
    state = found(database={"shut": True})
    del state["extensions"]["crm"]
    assert statements(state) == ['ALTER DATABASE "crm" ALLOW_CONNECTIONS true CONNECTION LIMIT -1;']
    assert statements(state, replace(DATABASE, extensions=("vector",))) == [
        'ALTER DATABASE "crm" ALLOW_CONNECTIONS true CONNECTION LIMIT -1;',
        '\\connect "crm"',
        'CREATE EXTENSION IF NOT EXISTS "vector";',
        '\\connect "postgres"',
    ]


def test_a_database_of_somebody_else_is_given_back() -> None:
    assert statements(found(database={"owner": "postgres"})) == ['ALTER DATABASE "crm" OWNER TO "crm";']


def test_a_database_that_everybody_may_connect_to_is_closed() -> None:
    assert statements(found(database={"public": True})) == ['REVOKE ALL ON DATABASE "crm" FROM PUBLIC;']


def test_missing_extensions_are_created_inside_the_database() -> None:
    database = Database("crm", secret="DB_PASSWORD", extensions=("vector", "citext", "pg_trgm"))
    assert statements(found(extensions=["plpgsql", "citext"]), database) == [
        '\\connect "crm"',
        'CREATE EXTENSION IF NOT EXISTS "pg_trgm";',
        'CREATE EXTENSION IF NOT EXISTS "vector";',
        '\\connect "postgres"',
    ]
    assert statements(found(extensions=["vector", "citext", "pg_trgm"]), database) == []

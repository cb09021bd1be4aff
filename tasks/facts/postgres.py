"""Postgres: roles, databases, extensions, without a password in sight; and what services keep in their own databases."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import TypedDict

from tasks.facts import dokploy, inside
from tasks.facts import shut as shutting
from tasks.facts.shut import Shut
from tasks.model.shapes import Misshapen, parsed


def noted_as(job: str) -> str:
    """The setting of its database that says what a job was made of when it last ended well."""
    return f"smarteros.{job.replace('-', '_')}"


class _Role(TypedDict):
    password: str
    createdb: bool
    super: bool
    more: bool
    shut: bool
    member: list[list[str]] | None


class _Database(TypedDict):
    owner: str
    public: bool
    shut: bool
    guests: list[str] | None
    done: dict[str, str] | None


class _Server(TypedDict):
    roles: dict[str, _Role]
    databases: dict[str, _Database]


@dataclass(frozen=True)
class PostgresState:
    """What one Postgres says; server is empty while there is none that runs.

    server: {"roles": {name: {"password": sha256 of the stored verifier, "createdb": bool, "super": bool,
                                "more": has it another right beyond its own, "shut": may it not sign in,
                                "member": [[role whose rights it has, who has given it]] or None}},
             "databases": {name: {"owner": role, "public": may everybody connect, "shut": may nobody, "guests": [role that was let in by name],
                                 "done": {noted_as(job): what it was made of}}},
             "extensions": {database: [name]}}
    asked: the databases that have answered. owned: services that have an admin; one without tables yet has none.
    dokploy: what Dokploy's database says, as JSON (tasks/facts/dokploy.py); empty where it has other tables. shut: whom it keeps out.
    """

    server: dict[str, Any] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    owned: frozenset[str] = frozenset()
    dokploy: str = ""
    shut: Shut = field(default_factory=Shut)


class PostgresFact(FactBase[PostgresState]):
    """PostgresState, by one psql: to start one costs more than all that it asks."""

    patience = 600  # each statement has its own limit, below

    def command(
        self, extended: tuple[str, ...], owned: tuple[tuple[str, str, str], ...], registered: str = ""
    ) -> str:
        """Prints ``kind|…`` lines.

        extended: databases whose extensions are asked for. owned: service, database, SQL that has a row once there is an
        admin. registered: Dokploy's database.
        """
        asked: dict[str, list[str]] = defaultdict(list)
        for name in extended:
            asked[name].append(f"SELECT 'extensions', '{name}', {_EXTENSIONS};")
        for service, name, question in owned:
            asked[name].append(f"SELECT 'owned', '{service}' WHERE EXISTS ({question});")
        if registered:
            asked[registered].append(dokploy.QUERY)
        lines = "\n".join([_QUERY, *_inside(asked.items())])
        return shutting.psql("|", lines, f"-e PGOPTIONS={quote(_PATIENCE)} ")

    @staticmethod
    def default() -> PostgresState:
        """No Postgres."""
        return PostgresState()

    def process(self, output: list[str]) -> PostgresState:
        """Lines → PostgresState. Raises FactProcessError for what psql never prints."""
        found: dict[str, list[str]] = {
            kind: []
            for kind in ("server", "extensions", "owned", "asked", "dokploy", "closed", "readonly", "standby")
        }
        if words := inside.unstarted(output):
            raise FactProcessError(inside.cannot("postgres", words))
        for line in filter(None, output):
            kind, _, rest = line.partition("|")
            if kind not in found:
                raise FactProcessError(f"cannot read what psql prints: {kind!r} begins no line of it")
            found[kind].append(rest)
        try:
            server, shut = _server(found), shutting.shut(found)
        except Misshapen as error:
            raise FactProcessError(f"cannot read what psql prints: {error}") from None
        asked, owned = frozenset(found["asked"]), frozenset(found["owned"])
        return PostgresState(server, asked, owned, "".join(found["dokploy"]), shut)


def _server(found: dict[str, list[str]]) -> dict[str, Any]:
    """Raises Misshapen."""
    extensions = {}
    for line in found["extensions"]:
        name, _, names = line.partition("|")
        extensions[name] = parsed(list[str], names)
    merged: dict[str, Any] = {}
    for line in found["server"]:
        merged |= parsed(_Server, line)
    return merged and {**merged, "extensions": extensions}


def _inside(asked: Iterable[tuple[str, list[str]]]) -> Iterator[str]:
    """What is asked in each database that is there; psql goes on after a question that fails, and ends where there is no
    way in. The last line says that the database has been asked, which it has not where somebody's open transaction let it wait.
    """
    for name, questions in asked:
        yield f"SELECT count(*) > 0 AS there FROM pg_database WHERE datname = '{name}' AND datallowconn \\gset"  # noqa: S608  a name of the catalogue
        yield "\\if :there"
        yield f'\\connect "dbname={name} user=postgres"'
        yield "\\set LAST_ERROR_SQLSTATE 00000"
        yield from questions
        yield f"SELECT 'asked', '{name}' WHERE :'LAST_ERROR_SQLSTATE' NOT IN {_WAITED};"
        yield "\\endif"


# A lock that somebody holds for longer is no answer (lock_not_available, query_canceled).
_PATIENCE, _WAITED = "-c lock_timeout=5s -c statement_timeout=20s", "('55P03', '57014')"
_EXTENSIONS = "coalesce(json_agg(extname), '[]') FROM pg_extension"
_QUERY = """
SELECT 'server', json_build_object(
  'roles', (SELECT json_object_agg(rolname, json_build_object(
      'password', encode(sha256(convert_to(coalesce(rolpassword, ''), 'UTF8')), 'hex'),
      'createdb', rolcreatedb, 'super', rolsuper, 'more', rolcreaterole OR rolreplication OR rolbypassrls,
      'shut', NOT rolcanlogin OR rolconnlimit = 0 OR coalesce(rolvaliduntil < now(), false),
      'member', (SELECT json_agg(json_build_array(pg_get_userbyid(roleid), pg_get_userbyid(grantor)))
                 FROM pg_auth_members WHERE member = pg_authid.oid))) FROM pg_authid WHERE rolname !~ '^pg_'),
  'databases', (SELECT json_object_agg(datname, json_build_object(
      'owner', pg_get_userbyid(datdba),
      'public', has_database_privilege('public', oid, 'CONNECT'),
      'shut', NOT datallowconn OR datconnlimit = 0,
      'guests', (SELECT json_agg(pg_get_userbyid(grantee)) FROM aclexplode(datacl)
                 WHERE privilege_type = 'CONNECT' AND grantee NOT IN (0, datdba)),
      'done', (SELECT json_object_agg(split_part(setting, '=', 1), split_part(setting, '=', 2))
               FROM pg_db_role_setting, unnest(setconfig) setting
               WHERE setdatabase = pg_database.oid AND setrole = 0 AND starts_with(setting, 'smarteros.'))
      )) FROM pg_database WHERE datallowconn OR NOT datistemplate));
""".strip()

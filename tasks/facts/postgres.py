"""Postgres: roles, databases, extensions, without a password in sight."""

from typing import Any

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import TypedDict

from tasks.model.shapes import Misshapen, parsed


def noted_as(job: str) -> str:
    """The setting of its database that says what a job was made of when it last ended well."""
    return f"smarteros.{job.replace('-', '_')}"


class _Role(TypedDict):
    password: str
    createdb: bool
    super: bool


class _Database(TypedDict):
    owner: str
    public: bool
    guests: list[str] | None
    done: dict[str, str] | None


class _Server(TypedDict):
    roles: dict[str, _Role]
    databases: dict[str, _Database]


class _Extensions(TypedDict):
    extensions: dict[str, list[str] | None]


class DatabasesFact(FactBase[dict[str, Any]]):
    """Roles, databases and extensions of the Postgres container; empty while there is none that runs.

    {"roles": {name: {"password": sha256 of the stored verifier, "createdb": bool, "super": bool}},
     "databases": {name: {"owner": role, "public": may everybody connect, "guests": [role that was let in by name],
                         "done": {noted_as(job): what it was made of}}},
     "extensions": {database: [name]}}
    """

    def command(self, with_extensions: tuple[str, ...] = ()) -> str:
        """One psql for roles and databases, one more for each database that has extensions."""
        extensions = "".join(_extensions_query(name) for name in with_extensions)
        return f"docker exec -i postgres sh <<'EOF' 2>/dev/null || true\n{_QUERY}{extensions}true\nEOF"

    @staticmethod
    def default() -> dict[str, Any]:
        """No Postgres."""
        return {}

    def process(self, output: list[str]) -> dict[str, Any]:
        """One JSON object a line, merged. Raises FactProcessError for anything else."""
        merged: dict[str, Any] = {"extensions": {}}
        try:
            for line in filter(None, output):
                if line.startswith('{"extensions"'):
                    merged["extensions"] |= parsed(_Extensions, line)["extensions"]
                else:
                    merged |= parsed(_Server, line)
        except Misshapen as error:
            raise FactProcessError(f"cannot read what psql prints: {error}") from None
        return merged if "roles" in merged else {}


_QUERY = """psql -qAtX -U postgres -d postgres <<'SQL'
SELECT json_build_object(
  'roles', (SELECT json_object_agg(rolname, json_build_object(
      'password', encode(sha256(convert_to(coalesce(rolpassword, ''), 'UTF8')), 'hex'),
      'createdb', rolcreatedb, 'super', rolsuper)) FROM pg_authid WHERE rolname !~ '^pg_'),
  'databases', (SELECT json_object_agg(datname, json_build_object(
      'owner', pg_get_userbyid(datdba),
      'public', has_database_privilege('public', oid, 'CONNECT'),
      'guests', (SELECT json_agg(pg_get_userbyid(grantee)) FROM aclexplode(datacl)
                 WHERE privilege_type = 'CONNECT' AND grantee NOT IN (0, datdba)),
      'done', (SELECT json_object_agg(split_part(setting, '=', 1), split_part(setting, '=', 2))
               FROM pg_db_role_setting, unnest(setconfig) setting
               WHERE setdatabase = pg_database.oid AND setrole = 0 AND starts_with(setting, 'smarteros.'))
      )) FROM pg_database WHERE datallowconn));
SQL
"""


def _extensions_query(database: str) -> str:
    query = f"SELECT json_build_object('extensions', json_build_object('{database}', json_agg(extname))) FROM pg_extension"  # noqa: S608  a name of the catalogue
    return f'psql -qAtX -U postgres -d {database} -c "{query}"\n'

"""Shut: whether Postgres keeps its own psql out, or takes no writes: both are somebody's doing. Asked within PostgresFact and StatusFact."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from tasks.model.shapes import parsed, shown

# What a server says that keeps who comes out; one that is just starting or full says something else.
_KEPT_OUT = re.compile(
    r'pg_hba\.conf|fe_sendauth|authentication failed|not permitted to log in|role "postgres" does not exist'
)
# pg_settings: what a server has for all, not what psql's own session has of its role or database.
_QUESTION = """
SELECT 'readonly', '["", ""]' FROM pg_settings WHERE name = 'default_transaction_read_only' AND setting = 'on'
  AND source NOT IN ('user', 'database', 'database user', 'client', 'session')
UNION ALL SELECT 'readonly', json_build_array(coalesce(rolname, ''), coalesce(datname, ''))::text FROM pg_db_role_setting
  LEFT JOIN pg_roles ON pg_roles.oid = setrole LEFT JOIN pg_database ON pg_database.oid = setdatabase, unnest(setconfig) setting
  WHERE setting ~* '^default_transaction_read_only=(on|t|y|1)'
UNION ALL SELECT 'standby', '[]' WHERE pg_is_in_recovery();
""".strip()


@dataclass(frozen=True)
class Shut:
    """closed: why psql is kept out. readonly: role and database, each empty for any, whose writes are refused. standby: it follows another."""

    closed: str = ""
    readonly: tuple[tuple[str, str], ...] = ()
    standby: bool = False


def psql(separator: str, lines: str, options: str = "") -> str:
    """Shell: what it says to these lines, and besides what Shut is made of. It never asks for a password."""
    called = f"docker exec {options}-i postgres psql -wqAtX -F {quote(separator)} -U postgres -d postgres"
    said = quote(f"s/^psql: error: /closed{separator}/p")
    # Docker may lose the end of what it hands in (moby#37870): psql is told it.
    return f"{{ {called} <<'SQL' 2>&1 1>&3 | sed -n {said}; }} 3>&1 || true\n{_QUESTION}\n{lines}\n\\q\nSQL"


def shut(found: Mapping[str, Sequence[str]]) -> Shut:
    """What the lines say, by their kind. Raises Misshapen."""
    closed = next((line for line in found.get("closed", ()) if _KEPT_OUT.search(line)), "")
    closed = closed.rpartition(" failed: ")[2]
    pairs = tuple(parsed(tuple[str, str], line) for line in found.get("readonly", ()))
    return Shut(shown(closed), pairs, bool(found.get("standby")))

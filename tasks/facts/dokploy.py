"""Dokploy: where its container listens, and from its database: API keys' ids, compose projects that are ours, whether it
clears the host of what does not run, which origins it trusts.
"""

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.model.shapes import Misshapen, parsed

PROJECT = "smarteros"
# How the description of each entry of ours begins; nothing else is ever changed or removed.
MARKER = "Kept by SmarterOS: "
# A setting of its database, which no session of its own reads.
OFFERED = "smarteros.dokploy_host"


@dataclass(frozen=True)
class Entry:
    """One compose project of ours as Dokploy has it; ``digest`` is the SHA-256 of its file."""

    id: str
    name: str
    description: str
    digest: str
    source: str
    kind: str


@dataclass(frozen=True)
class _Record:
    keys: list[str]
    environment: str | None
    entries: list[Entry]
    cleanup: bool | None
    origins: list[str]
    host: str | None
    offered: str | None


@dataclass(frozen=True)
class DokployState:
    """The container's address, ids of the API keys that are good, our project's environment, our entries.

    cleanup: whether it removes stopped containers and unused images, networks and build caches every night; true where
    nothing is set, as upstream has it. origins: those that its owners let people sign in from, beside its own address. host: the
    domain that its links lead to, empty where that is its IP address, None where it has no such setting. offered: the one that we gave it last.
    address is empty where Dokploy does not run or its database has other tables.
    """

    address: str = ""
    keys: frozenset[str] = frozenset()
    environment: str = ""
    entries: tuple[Entry, ...] = ()
    cleanup: bool = True
    origins: frozenset[str] = frozenset()
    host: str | None = None
    offered: str = ""


class DokployFact(FactBase[DokployState]):
    """DokployState, for the price of one command: through Dokploy's API it would be a request for each entry."""

    def command(self) -> str:
        """Prints ``address …`` and one JSON object."""
        return _DOKPLOY

    @staticmethod
    def default() -> DokployState:
        """No Dokploy."""
        return DokployState()

    def process(self, output: list[str]) -> DokployState:
        """Lines → DokployState. Raises FactProcessError for anything else."""
        named = [part for line in output if line.startswith("address ") for part in line.split()[1:]]
        addresses = [part for part in named if _is_address(part)]
        rest = "".join(line for line in output if not line.startswith("address "))
        if not addresses or not rest:
            return DokployState()
        try:
            found = parsed(_Record, rest)
        except Misshapen as error:
            raise FactProcessError(f"cannot read what Dokploy's database says: {error}") from None
        return DokployState(
            addresses[0],
            frozenset(found.keys),
            found.environment or "",
            tuple(found.entries),
            found.cleanup is not False,
            frozenset(found.origins),
            found.host,
            found.offered or "",
        )


def _is_address(text: str) -> bool:
    """What some versions of Docker print for a container without one is none: a password goes there."""
    with suppress(ValueError):
        return bool(ip_address(text))
    return False


# Tables and columns as Dokploy 0.30 names them (packages/server/src/db/schema).
_QUERY = f"""
SELECT json_build_object(
  'keys', (SELECT coalesce(json_agg(id ORDER BY id), '[]') FROM apikey
    WHERE enabled IS NOT FALSE AND (expires_at IS NULL OR expires_at > now())),
  'environment', (SELECT e."environmentId" FROM environment e JOIN project p ON p."projectId" = e."projectId"
    WHERE p.name = '{PROJECT}' ORDER BY p."createdAt", e."isDefault" DESC LIMIT 1),
  'entries', (SELECT coalesce(json_agg(json_build_object('id', "composeId", 'name', name, 'description', description,
    'digest', encode(sha256(convert_to("composeFile", 'UTF8')), 'hex'), 'source', "sourceType", 'kind', "composeType")
    ORDER BY "createdAt", "composeId"), '[]') FROM compose WHERE starts_with(description, '{MARKER}')),
  'cleanup', (SELECT "enableDockerCleanup" FROM "webServerSettings" ORDER BY created_at LIMIT 1),
  'host', (SELECT CASE WHEN to_jsonb(w) ? 'host' THEN coalesce(to_jsonb(w) ->> 'host', '') END
    FROM "webServerSettings" w ORDER BY created_at LIMIT 1),
  'offered', current_setting('{OFFERED}', true),
  'origins', (SELECT coalesce(json_agg(DISTINCT origin), '[]') FROM member m JOIN "user" u ON u.id = m.user_id,
    unnest(u."trustedOrigins") origin WHERE m.role = 'owner'));
""".strip()  # noqa: S608  constants of ours

_DOKPLOY = f"""
command -v docker >/dev/null || exit 0
docker inspect --format 'address{{{{range .NetworkSettings.Networks}}}} {{{{.IPAddress}}}}{{{{end}}}}' dokploy 2>/dev/null &
docker exec -i postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d dokploy 2>/dev/null <<'SQL' &
{_QUERY}
SQL
wait
true
""".strip()

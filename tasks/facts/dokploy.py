"""Dokploy: what its database says, asked within PostgresFact: API keys' ids, compose projects that are ours, whether it
clears the host of what does not run, which origins it trusts. Through its API it would be a request for each entry.
"""

from dataclasses import dataclass

from tasks.model.shapes import parsed

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


def read(address: str, text: str) -> DokployState:
    """What QUERY has printed of the Dokploy at that address. Raises Misshapen."""
    if not address or not text:
        return DokployState()
    found = parsed(_Record, text)
    return DokployState(
        address,
        frozenset(found.keys),
        found.environment or "",
        tuple(found.entries),
        found.cleanup is not False,
        frozenset(found.origins),
        found.host,
        found.offered or "",
    )


# Tables and columns as Dokploy 0.30 names them (packages/server/src/db/schema).
QUERY = f"""
SELECT 'dokploy', json_build_object(
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

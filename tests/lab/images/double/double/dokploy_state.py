"""What Dokploy keeps in its database: users, sessions, API keys, projects and compose services."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass

from double.passwords import hashed, matches
from double.store import Database, Row

TABLES = """
CREATE TABLE IF NOT EXISTS "user" (id text PRIMARY KEY, email text UNIQUE NOT NULL, "firstName" text NOT NULL,
  "lastName" text NOT NULL DEFAULT '', "trustedOrigins" text[]);
CREATE TABLE IF NOT EXISTS account (id text PRIMARY KEY, user_id text NOT NULL REFERENCES "user", provider_id text NOT NULL,
  password text);
CREATE TABLE IF NOT EXISTS organization (id text PRIMARY KEY, name text NOT NULL, owner_id text NOT NULL REFERENCES "user",
  created_at timestamp NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS member (id text PRIMARY KEY, organization_id text NOT NULL REFERENCES organization, user_id text
  NOT NULL REFERENCES "user", role text NOT NULL, created_at timestamp NOT NULL DEFAULT now(), is_default boolean NOT NULL
  DEFAULT false);
CREATE TABLE IF NOT EXISTS session (token text PRIMARY KEY, user_id text NOT NULL REFERENCES "user");
CREATE TABLE IF NOT EXISTS apikey (id text PRIMARY KEY, key text UNIQUE NOT NULL, name text, reference_id text NOT NULL
  REFERENCES "user", metadata text, enabled boolean DEFAULT true, expires_at timestamp, rate_limit_enabled boolean
  NOT NULL DEFAULT true, request_count integer NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS project ("projectId" text PRIMARY KEY, name text NOT NULL, description text,
  env text NOT NULL DEFAULT '', "createdAt" timestamptz DEFAULT now(), "organizationId" text REFERENCES organization);
CREATE TABLE IF NOT EXISTS environment ("environmentId" text PRIMARY KEY, name text NOT NULL, "isDefault" boolean,
  "projectId" text REFERENCES project);
CREATE TABLE IF NOT EXISTS compose ("composeId" text PRIMARY KEY, name text NOT NULL, "appName" text UNIQUE NOT NULL,
  description text, "composeType" text NOT NULL DEFAULT 'docker-compose', "sourceType" text NOT NULL DEFAULT 'github',
  "composeFile" text NOT NULL DEFAULT '', env text, "composeStatus" text NOT NULL DEFAULT 'idle',
  "createdAt" timestamptz DEFAULT now(), "environmentId" text REFERENCES environment);
CREATE TABLE IF NOT EXISTS "webServerSettings" (id text PRIMARY KEY, "enableDockerCleanup" boolean NOT NULL DEFAULT true,
  created_at timestamp DEFAULT now());
ALTER TABLE "webServerSettings" ADD COLUMN IF NOT EXISTS host text;
ALTER TABLE "webServerSettings" ADD COLUMN IF NOT EXISTS https boolean NOT NULL DEFAULT false;
INSERT INTO "webServerSettings" (id) SELECT 'one' WHERE NOT EXISTS (SELECT FROM "webServerSettings");
"""


# What a key with a rate limit may ask for in a day.
REQUESTS = 10


def new_id() -> str:
    """An identifier of 21 characters."""
    return secrets.token_urlsafe(16)[:21]


def digest(key: str) -> str:
    """An API key as the database keeps it."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True)
class State:
    """Queries over the tables."""

    database: Database

    def owner_exists(self) -> bool:
        """Whether somebody has signed up."""
        return bool(self.database.query("SELECT 1 FROM member WHERE role = 'owner'"))

    def create_owner(self, email: str, name: str, last_name: str, password: str) -> Row:
        """The first user, with an organization of his."""
        user = new_id()
        self.database.query(
            'WITH u AS (INSERT INTO "user" VALUES (%s, %s, %s, %s) RETURNING id), '
            "a AS (INSERT INTO account SELECT %s, id, 'credential', %s FROM u), "
            "o AS (INSERT INTO organization SELECT %s, 'My Organization', id FROM u RETURNING id) "
            "INSERT INTO member (id, organization_id, user_id, role, is_default) SELECT %s, o.id, u.id, 'owner', true FROM u, o",
            (user, email, name, last_name, new_id(), hashed(password), new_id(), new_id()),
        )
        return {"id": user, "email": email, "name": name}

    def check_password(self, email: str, password: str) -> Row | None:
        """The user with this address and password."""
        rows = self.database.query(
            'SELECT u.*, a.password FROM "user" u JOIN account a ON a.user_id = u.id WHERE u.email = %s',
            (email,),
        )
        return rows[0] if rows and matches(password, rows[0]["password"]) else None

    def trusted_origins(self) -> set[str]:
        """Where the owners let people sign in from."""
        rows = self.database.query(
            'SELECT unnest("trustedOrigins") origin FROM member m JOIN "user" u ON u.id = m.user_id '
            "WHERE m.role = 'owner'"
        )
        return {row["origin"] for row in rows}

    def cleans_up(self) -> bool:
        """Whether the host's Docker is to be cleaned up every night."""
        statement = 'SELECT "enableDockerCleanup" FROM "webServerSettings" ORDER BY created_at LIMIT 1'
        return bool(self.database.query(statement)[0]["enableDockerCleanup"])

    def clean_up(self, *, enabled: bool) -> None:
        """From now on, or no longer."""
        self.database.query('UPDATE "webServerSettings" SET "enableDockerCleanup" = %s', (enabled,))

    def open_session(self, user: str) -> str:
        """A session's token."""
        token = secrets.token_urlsafe(24)
        self.database.query("INSERT INTO session VALUES (%s, %s)", (token, user))
        return token

    def session_member(self, token: str) -> Row | None:
        """Whose session it is, and in which organization."""
        return self._first(
            "SELECT m.* FROM session s JOIN member m USING (user_id) WHERE s.token = %s", token
        )

    def session_user(self, token: str) -> Row:
        """Whose session it is; there is one."""
        return self.database.query(
            'SELECT u.* FROM session s JOIN "user" u ON u.id = s.user_id WHERE s.token = %s', (token,)
        )[0]

    def change_password(self, user: str, password: str) -> None:
        """Another one from now on."""
        self.database.query("UPDATE account SET password = %s WHERE user_id = %s", (hashed(password), user))

    def key_member(self, key: str) -> Row | None:
        """Whose API key it is; a key without an organization in its metadata, or one that has asked too often, is nobody's."""
        self.database.query(
            "UPDATE apikey SET request_count = request_count + 1 WHERE key = %s", (digest(key),)
        )
        return self._first(
            "SELECT m.* FROM apikey k JOIN member m ON m.user_id = k.reference_id "
            "AND m.organization_id = k.metadata::json->>'organizationId' WHERE k.key = %s "
            "AND k.enabled AND (k.expires_at IS NULL OR k.expires_at > now()) "
            f"AND NOT (k.rate_limit_enabled AND k.request_count > {REQUESTS})",
            digest(key),
        )

    def create_key(self, name: str, user: str, organization: str, *, limited: bool) -> Row:
        """An API key, shown only now."""
        key, identifier = secrets.token_urlsafe(32), new_id()
        self.database.query(
            "INSERT INTO apikey (id, key, name, reference_id, metadata, rate_limit_enabled) VALUES (%s, %s, %s, %s, %s, %s)",
            (identifier, digest(key), name, user, json.dumps({"organizationId": organization}), limited),
        )
        return {"id": identifier, "key": key, "name": name, "referenceId": user}

    def organizations(self, user: str) -> list[Row]:
        """The user's organizations."""
        return self.database.query(
            "SELECT o.* FROM organization o JOIN member m ON m.organization_id = o.id WHERE m.user_id = %s",
            (user,),
        )

    def create_project(self, name: str, description: str | None, organization: str) -> Row:
        """A project and its environment `production`."""
        project = self.database.query(
            'INSERT INTO project ("projectId", name, description, "organizationId") VALUES (%s, %s, %s, %s) RETURNING *',
            (new_id(), name, description, organization),
        )[0]
        environment = self.database.query(
            "INSERT INTO environment VALUES (%s, 'production', true, %s) RETURNING *",
            (new_id(), project["projectId"]),
        )[0]
        return {"project": project, "environment": environment}

    def projects(self, organization: str) -> list[Row]:
        """Projects with their environments, and these with their compose services."""
        rows = self.database.query(
            'SELECT * FROM project WHERE "organizationId" = %s ORDER BY "createdAt" DESC', (organization,)
        )
        return [{**row, "environments": self._environments(row["projectId"])} for row in rows]

    def _environments(self, project: str) -> list[Row]:
        rows = self.database.query(
            'SELECT "environmentId", name, "isDefault" FROM environment WHERE "projectId" = %s', (project,)
        )
        statement = 'SELECT "composeId", name, "composeStatus" FROM compose WHERE "environmentId" = %s'
        return [{**row, "compose": self.database.query(statement, (row["environmentId"],))} for row in rows]

    def has_environment(self, environment: str, organization: str) -> bool:
        """Whether the organization has it."""
        return bool(
            self.database.query(
                'SELECT 1 FROM environment JOIN project USING ("projectId") '
                'WHERE "environmentId" = %s AND "organizationId" = %s',
                (environment, organization),
            )
        )

    def compose(self, identifier: str, organization: str) -> Row | None:
        """A compose service of the organization."""
        rows = self.database.query('SELECT * FROM compose WHERE "composeId" = %s', (identifier,))
        return rows[0] if rows and self.has_environment(rows[0]["environmentId"], organization) else None

    def save_compose(self, identifier: str, values: Row) -> Row:
        """Make or change a compose service."""
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join(["%s"] * len(values))
        changes = ", ".join(f'"{name}" = excluded."{name}"' for name in values)
        return self.database.query(
            f'INSERT INTO compose ("composeId", {names}) VALUES (%s, {marks}) '
            f'ON CONFLICT ("composeId") DO UPDATE SET {changes} RETURNING *',
            (identifier, *values.values()),
        )[0]

    def set_status(self, identifier: str, status: str) -> None:
        """How a compose service's last deployment went."""
        self.database.query(
            'UPDATE compose SET "composeStatus" = %s WHERE "composeId" = %s', (status, identifier)
        )

    def delete_compose(self, identifier: str) -> None:
        """Forget a compose service."""
        self.database.query('DELETE FROM compose WHERE "composeId" = %s', (identifier,))

    def _first(self, statement: str, argument: str) -> Row | None:
        rows = self.database.query(statement, (argument,))
        return rows[0] if rows else None

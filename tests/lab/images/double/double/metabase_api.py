"""Metabase's API: health, the first set-up, sessions, databases."""

from __future__ import annotations

import json
import re
import secrets
import threading
from dataclasses import dataclass
from typing import Any

from double.contract import Environment, Refused
from double.mail import Unsent, of_metabase
from double.passwords import counts, hashed, matches
from double.store import Database, Row
from double.web import Failure, Request, Response, Site, as_json, page

# Metabase's own, which owns the examples: no administrator, and nobody can log in as it.
INTERNAL = 13371338
TABLES = f"""
CREATE TABLE IF NOT EXISTS databasechangelog (id text PRIMARY KEY);
CREATE TABLE IF NOT EXISTS setting (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS core_user (id serial PRIMARY KEY, email citext UNIQUE NOT NULL, first_name text,
  last_name text, password text NOT NULL, is_superuser boolean NOT NULL);
CREATE TABLE IF NOT EXISTS core_session (id text PRIMARY KEY, user_id int NOT NULL REFERENCES core_user);
CREATE TABLE IF NOT EXISTS metabase_database (id serial PRIMARY KEY, name text NOT NULL, engine text NOT NULL,
  details jsonb NOT NULL, creator_id int);
INSERT INTO core_user VALUES ({INTERNAL}, 'internal@metabase.com', 'Metabase', 'Internal', 'none', false)
  ON CONFLICT DO NOTHING;
INSERT INTO setting SELECT 'setup-token', gen_random_uuid()::text
  WHERE NOT EXISTS (SELECT 1 FROM core_user WHERE id <> {INTERNAL})
  ON CONFLICT DO NOTHING;
"""
DONE = "The /api/setup route can only be used to create the first user, however a user currently exists."
COMMON = {"password1", "passw0rd", "abc123", "123456", "qwerty1", "12345678", "metabase1", "admin123"}


@dataclass(frozen=True)
class Metabase:
    """The handlers."""

    database: Database
    site_url: str
    ready: threading.Event
    environment: Environment

    def site(self) -> Site:
        """All routes; only the health answers before the start is complete."""
        handlers = {
            "GET /api/session/properties": self.properties,
            "POST /api/setup": self.setup,
            "POST /api/session": self.log_in,
            "POST /api/session/forgot_password": self.forgotten,
            "GET /api/user/current": self.current,
            "PUT /api/user/\\d+/password": self.change_password,
            "GET /api/database": self.databases,
            "POST /api/database": self.add_database,
            "GET /((public|embed)/.+|unsubscribe)": lambda _request: page("Metabase"),
            "GET /api/public/.+": lambda _request: Response(400, b"Public sharing is not enabled."),
            "GET /api/embed/.+": lambda _request: Response(400, b"Embedding is not enabled."),
            "GET /app/.+": lambda _request: Response(404, b"Not found."),
            "DELETE /api/database/\\d+": self.remove_database,
            "POST /api/dataset": self.dataset,
            "DELETE /api/session": self.log_out,
            "GET /(setup|auth/login|admin|dashboard)?(/.*)?": lambda _request: page("Metabase"),
        }
        return Site(
            {"GET /api/health": self.health}
            | {route: self._started(each) for route, each in handlers.items()}
        )

    def _started(self, handler: Any) -> Any:
        def wrapped(request: Request) -> Response:
            if not self.ready.is_set():
                raise Failure(503, {"status": "initializing", "progress": 0.3})
            # As 0.63.19 and 0.64.1 were seen to answer on every route.
            if request.headers.get("authorization", "").lower().startswith("bearer "):
                raise Failure(500, {"message": "Internal Server Error"})
            return handler(request)  # type: ignore[no-any-return]

        return wrapped

    def health(self, _request: Request) -> Response:
        """503 while it initialises and when its database does not answer."""
        if not self.ready.is_set():
            return as_json({"status": "initializing", "progress": 0.3}, 503)
        if not self.database.works():
            return as_json({"status": "Unable to get app-db connection"}, 503)
        return as_json({"status": "ok"})

    def properties(self, _request: Request) -> Response:
        """What a visitor may know; the setup token only until there is a user."""
        done = self._has_user()
        return as_json(
            {
                "setup-token": None if done else self._setting("setup-token"),
                "has-user-setup": done,
                "site-url": self.site_url,
                "site-name": self._setting("site-name") or "Metabase",
                "version": {"tag": "v0.64.1.5"},
            }
        )

    def setup(self, request: Request) -> Response:
        """The first user, with a session."""
        fields = request.fields()
        user, prefs = (_mapping(fields, key) for key in ("user", "prefs"))
        errors = _setup_errors(fields, user, prefs, self._setting("setup-token"))
        if errors:
            raise Failure(400, {"errors": errors})
        if self._has_user():
            raise Failure(403, {"message": DONE})
        rows = self.database.query(
            "INSERT INTO core_user (email, first_name, last_name, password, is_superuser) "
            "VALUES (%s, %s, %s, %s, true) RETURNING id",
            (user["email"], user.get("first_name"), user.get("last_name"), hashed(user["password"])),
        )
        self._set("site-name", prefs["site_name"])
        self.database.query("DELETE FROM setting WHERE key = 'setup-token'")
        return self._session(rows[0]["id"])

    def log_in(self, request: Request) -> Response:
        """A session for an address and a password."""
        fields = request.fields()
        rows = self.database.query(
            "SELECT * FROM core_user WHERE email = %s AND id <> %s",
            (str(fields.get("username", "")), INTERNAL),
        )
        if not rows or not matches(str(fields.get("password", "")), rows[0]["password"]):
            raise Failure(401, {"errors": {"password": "did not match stored password"}})
        return self._session(rows[0]["id"])

    def forgotten(self, request: Request) -> Response:
        """Says the same whether there is such a user or not; the mail is sent behind that, and its error is logged."""
        email = str(request.fields().get("email", ""))
        threading.Thread(target=self._send_reset, args=(email,), daemon=True).start()
        return Response(204)

    def _send_reset(self, email: str) -> None:
        known = "SELECT 1 FROM core_user WHERE email = %s AND id <> %s"
        try:
            if self.database.query(known, (email, INTERNAL)):
                text = f"Click to reset your password: {self.site_url}/auth/reset_password/0_token"
                of_metabase(self.environment).send(email, "[Metabase] Password Reset Request", text)
        except Unsent as error:
            print(f"WARN metabase.channel.email :: Failed to send email {error}")

    def current(self, request: Request) -> Response:
        """Whose session it is."""
        user = self._user(request)
        return as_json({key: user[key] for key in ("id", "email", "first_name", "last_name", "is_superuser")})

    def change_password(self, request: Request) -> Response:
        """A new one, and a session more for oneself; the others last. No superuser is asked for the old one (users_rest/api.clj)."""
        user, fields = self._user(request), request.fields()
        password, old = (str(fields.get(key) or "") for key in ("password", "old_password"))
        if not _strong(password):
            raise Failure(400, {"errors": {"password": "password is too common."}})
        if request.path.split("/")[3] != str(user["id"]):
            raise Failure(403, "the double lets nobody change another's")
        if not user["is_superuser"] and not matches(old, user["password"]):
            raise Failure(400, {"errors": {"old_password": "Invalid password"}})
        self.database.query(
            "UPDATE core_user SET password = %s WHERE id = %s", (hashed(password), user["id"])
        )
        made = self._session(user["id"])
        return as_json({"success": True, "session_id": json.loads(made.body)["id"]}, headers=made.headers)

    def databases(self, request: Request) -> Response:
        """The databases there are to ask; without their passwords."""
        self._user(request)
        rows = self.database.query(
            "SELECT id, name, engine, details - 'password' AS details FROM metabase_database ORDER BY id"
        )
        return as_json({"data": rows, "total": len(rows)})

    def add_database(self, request: Request) -> Response:
        """A database, after one login to it."""
        import psycopg2.extras

        user, fields = self._user(request), request.fields()
        details = _mapping(fields, "details")
        if not fields.get("name") or fields.get("engine") != "postgres":
            raise Failure(
                400, {"errors": {"name": "value must be a non-blank string.", "engine": "postgres"}}
            )
        try:
            _connected(details).login()
        except Refused as refusal:
            raise Failure(
                400, {"message": str(refusal), "errors": {"host": "check your host settings"}}
            ) from None
        rows = self.database.query(
            "INSERT INTO metabase_database (name, engine, details, creator_id) VALUES (%s, %s, %s, %s) RETURNING id, name, engine",
            (fields["name"], fields["engine"], psycopg2.extras.Json(details), user["id"]),
        )
        return as_json(rows[0])

    def remove_database(self, request: Request) -> Response:
        """Only its connection goes."""
        self._user(request)
        number = request.path.rsplit("/", 1)[1]
        rows = self.database.query(
            "DELETE FROM metabase_database WHERE id::text = %s RETURNING id", (number,)
        )
        if not rows:
            raise Failure(404, "Not found.")
        return Response(204)

    def dataset(self, request: Request) -> Response:
        """A native query's rows; upstream answers with 202 while they come, and so it says errors in the body."""
        import psycopg2

        self._user(request)
        fields = request.fields()
        rows = self.database.query(
            "SELECT details FROM metabase_database WHERE id::text = %s", (str(fields.get("database")),)
        )
        if not rows or fields.get("type") != "native":
            raise Failure(404, "Not found.")
        try:
            found = _connected(rows[0]["details"]).query(str(_mapping(fields, "native").get("query")))
        except psycopg2.Error as error:
            return as_json({"status": "failed", "error": f"ERROR: {error}", "row_count": 0}, 202)
        data = {"rows": [list(row.values()) for row in found]}
        return as_json({"status": "completed", "row_count": len(found), "data": data}, 202)

    def log_out(self, request: Request) -> Response:
        """The session's end."""
        self._user(request)
        session = request.headers.get("x-metabase-session") or request.cookie("metabase.SESSION")
        self.database.query("DELETE FROM core_session WHERE id = %s", (session,))
        return Response(204)

    def _user(self, request: Request) -> Row:
        session = request.headers.get("x-metabase-session") or request.cookie("metabase.SESSION")
        rows = self.database.query(
            "SELECT u.* FROM core_session s JOIN core_user u ON u.id = s.user_id WHERE s.id = %s", (session,)
        )
        if not rows:
            raise Failure(401, "Unauthenticated")
        return rows[0]

    def _session(self, user: int) -> Response:
        session = secrets.token_hex(16)
        self.database.query("INSERT INTO core_session VALUES (%s, %s)", (session, user))
        return as_json(
            {"id": session}, headers={"Set-Cookie": f"metabase.SESSION={session}; Path=/; HttpOnly"}
        )

    def _has_user(self) -> bool:
        return bool(self.database.query("SELECT 1 FROM core_user WHERE id <> %s LIMIT 1", (INTERNAL,)))

    def _setting(self, key: str) -> str:
        rows = self.database.query("SELECT value FROM setting WHERE key = %s", (key,))
        return str(rows[0]["value"]) if rows else ""

    def _set(self, key: str, value: str) -> None:
        self.database.query(
            "INSERT INTO setting VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )


def _connected(details: dict[str, Any]) -> Database:
    keys = {"host": "host", "port": "port", "dbname": "dbname", "user": "user", "password": "password"}
    quoted = {
        key: str(details.get(name, "")).replace("\\", r"\\").replace("'", r"\'") for key, name in keys.items()
    }
    return Database(" ".join(f"{key}='{value}'" for key, value in quoted.items()))


def _mapping(fields: dict[str, Any], key: str) -> dict[str, Any]:
    value = fields.get(key)
    return value if isinstance(value, dict) else {}


def _strong(password: str) -> bool:
    """Metabase's default rule for passwords is `normal`: six characters, one digit, not a common one."""
    have = counts(password)
    return have["total"] >= 6 and bool(have["digit"]) and password.lower() not in COMMON


def _setup_errors(
    fields: dict[str, Any], user: dict[str, Any], prefs: dict[str, Any], token: str
) -> dict[str, str]:
    password = str(user.get("password") or "")
    checks = {
        # Cleared by the first set-up, so that a used one is as wrong as any (metabase/metabase#76626).
        "token": (token and fields.get("token") == token, "Token does not match the setup token."),
        "email": (
            re.fullmatch(r"\S+@\S+\.\S+", str(user.get("email", ""))),
            "value must be a valid email address.",
        ),
        "password": (_strong(password), "password is too common."),
        "site_name": (str(prefs.get("site_name") or "").strip(), "value must be a non-blank string."),
    }
    return {name: message for name, (good, message) in checks.items() if not good}

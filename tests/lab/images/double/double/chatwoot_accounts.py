"""What Chatwoot keeps: its tables, its accounts and users, and the flag in Redis that offers the onboarding."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any

from double.passwords import counts, hashed, matches
from double.store import Database, Row

ONBOARDING = "alfred:CHATWOOT_INSTALLATION_ONBOARDING"
EXTENSIONS = ("pg_stat_statements", "pg_trgm", "pgcrypto", "vector")
TABLES = """
CREATE TABLE IF NOT EXISTS ar_internal_metadata (key text PRIMARY KEY, value text);
CREATE TABLE IF NOT EXISTS schema_migrations (version text PRIMARY KEY);
CREATE TABLE IF NOT EXISTS installation_configs (name text PRIMARY KEY, value text);
CREATE TABLE IF NOT EXISTS accounts (id serial PRIMARY KEY, name text NOT NULL);
CREATE TABLE IF NOT EXISTS users (id serial PRIMARY KEY, type text, name text NOT NULL, email text UNIQUE NOT NULL,
  encrypted_password text NOT NULL, confirmed_at timestamptz, pubsub_token text UNIQUE);
CREATE TABLE IF NOT EXISTS account_users (account_id int REFERENCES accounts, user_id int REFERENCES users, role text);
CREATE TABLE IF NOT EXISTS sessions_of_the_double (token text PRIMARY KEY, client text, user_id int REFERENCES users);
ALTER TABLE sessions_of_the_double ADD COLUMN IF NOT EXISTS number bigserial;
CREATE TABLE IF NOT EXISTS inboxes (id serial PRIMARY KEY, account_id int REFERENCES accounts, name text NOT NULL);
CREATE TABLE IF NOT EXISTS contacts (id serial PRIMARY KEY, account_id int REFERENCES accounts, name text NOT NULL,
  inbox_id int REFERENCES inboxes ON DELETE CASCADE, source_id text UNIQUE);
CREATE TABLE IF NOT EXISTS conversations (id serial PRIMARY KEY, account_id int REFERENCES accounts,
  contact_id int REFERENCES contacts ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS messages (id serial PRIMARY KEY, content text NOT NULL,
  conversation_id int REFERENCES conversations ON DELETE CASCADE);
INSERT INTO ar_internal_metadata VALUES ('environment', 'production') ON CONFLICT DO NOTHING;
INSERT INTO schema_migrations VALUES ('20260901000000') ON CONFLICT DO NOTHING;
"""


class Invalid(Exception):
    """A user or account that Chatwoot would not save."""


@dataclass(frozen=True)
class Accounts:
    """Chatwoot's database and Redis."""

    database: Database
    redis: Any

    def prepare(self) -> None:
        """Schema, and on an empty database also the seed: the onboarding is open."""
        fresh = not self.database.has_table("ar_internal_metadata")
        if fresh:
            self.database.extensions(EXTENSIONS)
        self.database.migrate(TABLES)
        if fresh:
            self.redis.set(ONBOARDING, "true")
        print("created and seeded the database" if fresh else "nothing left to migrate")

    def onboarding_is_open(self) -> bool:
        """Whether the next visitor becomes the owner."""
        return bool(self.redis.get(ONBOARDING))

    def finish_onboarding(self) -> None:
        """Nobody is offered the onboarding any more."""
        self.redis.delete(ONBOARDING)

    def build(  # noqa: PLR0913
        self, account: str, name: str, email: str, password: str, *, super_admin: bool, confirmed: bool
    ) -> None:
        """An account and its administrator."""
        problem = self._problem(name, email, password)
        if problem:
            raise Invalid(problem)
        self.database.query(
            "WITH a AS (INSERT INTO accounts (name) VALUES (%s) RETURNING id), "
            "u AS (INSERT INTO users (type, name, email, encrypted_password, confirmed_at, pubsub_token) "
            "VALUES (%s, %s, %s, %s, CASE WHEN %s THEN now() END, %s) RETURNING id) "
            "INSERT INTO account_users SELECT a.id, u.id, 'administrator' FROM a, u",
            (account, "SuperAdmin" if super_admin else None, name, email.lower(), hashed(password), confirmed,
             secrets.token_urlsafe(18)),
        )  # fmt: skip

    def _problem(self, name: str, email: str, password: str) -> str:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", email):
            return "Please enter a valid email"
        if self.find(email):
            return f"You have already signed up for an account with {email}"
        if not name:
            return "Validation failed: Name can't be blank"
        return password_problem(password)

    def find(self, email: str) -> Row | None:
        """The user with this address."""
        rows = self.database.query("SELECT * FROM users WHERE email = %s", (email.lower(),))
        return rows[0] if rows else None

    def has_users(self) -> bool:
        """Whether anybody can log in."""
        return bool(self.database.query("SELECT 1 FROM users LIMIT 1"))

    def log_in(self, email: str, password: str, *, session: bool = True) -> tuple[Row, str, str] | None:
        """The user and a session's token and client, or none that lasts; only confirmed users get one."""
        user = self.find(email)
        if not user or not user["confirmed_at"] or not matches(password, user["encrypted_password"]):
            return None
        token, client = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        if session:
            self.database.query(
                "INSERT INTO sessions_of_the_double VALUES (%s, %s, %s)", (token, client, user["id"])
            )
        return user, token, client

    def change_password(self, user: int, password: str) -> None:
        """A new one, which leaves the newest session alone."""
        self.database.query(
            "UPDATE users SET encrypted_password = %s WHERE id = %s", (hashed(password), user)
        )
        self.database.query(
            "DELETE FROM sessions_of_the_double WHERE user_id = %s AND number < "
            "(SELECT max(number) FROM sessions_of_the_double WHERE user_id = %s)",
            (user, user),
        )

    def accounts_of(self, user: int) -> list[Row]:
        """The accounts a user is in."""
        return self.database.query(
            "SELECT a.id, a.name, u.role FROM accounts a JOIN account_users u ON u.account_id = a.id WHERE u.user_id = %s",
            (user,),
        )

    def listener(self, pubsub_token: str, user: object) -> Row | None:
        """Whose page it is that wants to listen."""
        rows = self.database.query(
            "SELECT * FROM users WHERE pubsub_token = %s AND id::text = %s", (pubsub_token, str(user))
        )
        return rows[0] if rows else None

    def log_out(self, token: str) -> None:
        """Ends a session."""
        self.database.query("DELETE FROM sessions_of_the_double WHERE token = %s", (token,))

    def user_of(self, token: str, client: str, uid: str) -> Row | None:
        """Whose session it is."""
        rows = self.database.query(
            "SELECT u.* FROM sessions_of_the_double s JOIN users u ON u.id = s.user_id "
            "WHERE s.token = %s AND s.client = %s AND u.email = %s",
            (token, client, uid),
        )
        return rows[0] if rows else None


def password_problem(password: str) -> str:
    """Chatwoot's rules: six characters, and one each of upper case, lower case, digits and the rest."""
    have = counts(password)
    if have["total"] < 6:
        return "Validation failed: Password is too short (minimum is 6 characters)"
    words = {
        "upper": "uppercase character",
        "lower": "lowercase character",
        "digit": "number",
        "special": "special character",
    }
    for kind, word in words.items():
        if not have[kind]:
            return f"Validation failed: Password must contain at least 1 {word}"
    return ""

"""Postgres and Redis, logged in to with the credentials that the double was given."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from double.contract import Refused

Row = dict[str, Any]
# Connections kept for the next query, about what the programs' own pools keep (Rails 5, Metabase 15).
IDLE = 10


@dataclass(frozen=True)
class Database:
    """A connection string, and connections that stay logged in between queries, as the programs' pools keep theirs."""

    dsn: str
    _idle: deque[Any] = field(default_factory=deque, repr=False, compare=False)

    def query(self, statement: str, arguments: Sequence[object] = ()) -> list[Row]:
        """The rows of one statement (or of several, without arguments), in a transaction of its own."""
        from psycopg2.extras import RealDictCursor

        connection = self._connection()
        try:
            with connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(statement, arguments or None)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            if connection.closed or len(self._idle) >= IDLE:
                connection.close()
            else:
                self._idle.append(connection)

    def login(self) -> None:
        """One login, as the program does at its start."""
        self._try("SELECT 1", "cannot log in to Postgres")

    def extensions(self, names: Iterable[str]) -> None:
        """Create them as upstream's migrations do: those that are not trusted need a superuser before."""
        for name in names:
            self._try(f"CREATE EXTENSION IF NOT EXISTS {name}", f"the database needs the extension {name}")

    def migrate(self, statements: str) -> None:
        """Statements that may run any number of times, one runner at a time."""
        self._try(f"SELECT pg_advisory_xact_lock(7072); {statements}", "the migration failed")

    def has_table(self, name: str) -> bool:
        """Whether the schema public has this table."""
        return bool(self.query("SELECT 1 FROM pg_tables WHERE schemaname='public' AND tablename=%s", (name,)))

    def works(self) -> bool:
        """Whether a query is answered now."""
        import psycopg2

        try:
            return bool(self.query("SELECT 1"))
        except psycopg2.Error:
            return False

    def _connection(self) -> Any:
        """One that still answers (a server may have restarted since), or a new one."""
        import psycopg2

        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return psycopg2.connect(self.dsn, connect_timeout=5)
            try:
                with connection, connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except psycopg2.Error:
                connection.close()
            else:
                return connection

    def _try(self, statement: str, problem: str) -> None:
        import psycopg2

        try:
            self.query(statement)
        except psycopg2.Error as error:
            raise Refused(f"{problem}: {str(error).strip()}") from None


def wait_for_port(host: str, port: int, seconds: float) -> None:
    """Wait until somebody listens there, as upstream's entrypoints do before they start."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), 3).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise Refused(f"nothing listens on {host}:{port} after {seconds:.0f} s: {error}") from None
            print(f"waiting for {host}:{port}")
            time.sleep(1)
        else:
            return


def redis_client(url: str, password: str = "") -> Any:
    """A client of Redis that has logged in, with the credentials as Ruby's client (redis-client) takes them.

    A password of its own wins over the one in the URL. A URL with a user but no password gives no user at all:
    redis://NAME@host means the password NAME.
    """
    import redis

    parts = urlsplit(url)
    client = redis.Redis(
        host=parts.hostname or "localhost",
        port=parts.port or 6379,
        db=int(parts.path.strip("/") or 0),
        username=(parts.username or None) if parts.password else None,
        password=password or unquote(parts.password or parts.username or "") or None,
        ssl=parts.scheme == "rediss",
        decode_responses=True,
        socket_connect_timeout=5,
    )
    try:
        client.ping()
    except redis.RedisError as error:
        raise Refused(f"cannot log in to Redis: {error}") from None
    return client

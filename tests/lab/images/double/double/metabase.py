"""Metabase: the jar's server. It listens at once and answers 503 until its migrations are through.

Stricter than upstream, which falls back to a file (H2) without MB_DB_TYPE and runs without MB_SITE_URL and without
MB_ENCRYPTION_SECRET_KEY. Not confirmed: that the migrations create citext; which error a used setup token gets
since upstream clears it (403 here, as for any second set-up).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from pathlib import Path

from double.contract import ANYTHING, NUMBER, URL, Environment, Refused, Rule, demand, writable
from double.metabase_api import TABLES, Metabase
from double.store import Database
from double.web import Request, Response, Site, serve, server

RULES = (
    Rule("MB_DB_TYPE", r"postgres", "postgres, or Metabase would keep all in a file of the container"),
    Rule("MB_DB_HOST", ANYTHING, "the database's host"),
    Rule("MB_DB_PORT", NUMBER, "a number"),
    Rule("MB_DB_DBNAME", ANYTHING, "the database's name"),
    Rule("MB_DB_USER", ANYTHING, "the database's role"),
    Rule("MB_DB_PASS", ANYTHING, "the role's password"),
    Rule("MB_SITE_URL", URL, "an absolute URL such as https://kpi.example.com"),
    Rule("MB_ENCRYPTION_SECRET_KEY", r"(?s).{16,}", "at least 16 characters"),
    Rule("MB_JETTY_PORT", NUMBER, "a number", required=False),
    Rule("MB_PROMETHEUS_SERVER_PORT", NUMBER, "a number", required=False),
    Rule("JAVA_OPTS", r"(\S*\s+)*-Xmx\d+[kKmMgG](\s+\S*)*", "has -Xmx and a size, such as -Xmx768m", required=False),
)  # fmt: skip
KEY_MISMATCH = (
    "Database was encrypted with a different key than the MB_ENCRYPTION_SECRET_KEY environment contains"
)


def run(arguments: list[str], environment: Environment) -> None:
    """Start the server."""
    if arguments:
        raise Refused(f"cannot run {' '.join(arguments)}: the double knows no commands of Metabase")
    demand(environment, RULES)
    writable(tempfile.gettempdir())
    _plugins(Path(environment.get("MB_PLUGINS_DIR", "/plugins")))
    database = _database(environment)
    database.login()
    ready = threading.Event()
    threading.Thread(target=_initialise, args=(database, environment, ready), daemon=True).start()
    api = Metabase(database, environment["MB_SITE_URL"], ready)
    if metrics := environment.get("MB_PROMETHEUS_SERVER_PORT"):
        exporter = server(Site({"GET /metrics": _metrics}), int(metrics))
        threading.Thread(target=exporter.serve_forever, daemon=True).start()
    serve(
        api.site(),
        int(environment.get("MB_JETTY_PORT") or 3000),
        environment.get("MB_JETTY_HOST") or "localhost",
    )


def _database(environment: Environment) -> Database:
    fields = {"HOST": "host", "PORT": "port", "DBNAME": "dbname", "USER": "user", "PASS": "password"}
    quoted = {
        key: environment[f"MB_DB_{name}"].replace("\\", r"\\").replace("'", r"\'")
        for name, key in fields.items()
    }
    return Database(" ".join(f"{key}='{value}'" for key, value in quoted.items()))


def _plugins(folder: Path) -> None:
    """Drivers are unpacked here; a folder that cannot be written is only a warning upstream, too."""
    try:
        writable(folder)
    except Refused as refusal:
        print(f"WARN {refusal}: Metabase will use a temporary folder for its drivers")


def _initialise(database: Database, environment: Environment, ready: threading.Event) -> None:
    try:
        database.extensions(["citext"])
        database.migrate(TABLES)
        _check_key(database, environment["MB_ENCRYPTION_SECRET_KEY"])
    except Refused as refusal:
        print(f"metabase: initialisation failed\n{refusal}")
        os._exit(1)
    print("Metabase Initialization COMPLETE")
    ready.set()


def _check_key(database: Database, key: str) -> None:
    digest = hashlib.sha256(f"settings {key}".encode()).hexdigest()
    database.query("INSERT INTO setting VALUES ('encryption-check', %s) ON CONFLICT DO NOTHING", (digest,))
    if database.query("SELECT value FROM setting WHERE key = 'encryption-check'")[0]["value"] != digest:
        raise Refused(KEY_MISMATCH)


def _metrics(request: Request) -> Response:
    return Response(200, b"jvm_threads_current 1\n", {"Content-Type": "text/plain; version=0.0.4"})

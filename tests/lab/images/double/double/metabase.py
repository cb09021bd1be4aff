"""Metabase: the jar's server. It listens at once and answers 503 until its migrations are through.

Stricter than upstream, which falls back to a file (H2) without MB_DB_TYPE and runs without MB_SITE_URL and without
MB_ENCRYPTION_SECRET_KEY, and loads its sample database beside the start: without it there are no examples, no more. Where
Truffle has nowhere to keep its files, some versions warn, others fail when a chart is drawn.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from pathlib import Path

from double.contract import ANYTHING, NUMBER, URL, Environment, Refused, Rule, demand, writable
from double.mail import METABASE
from double.metabase_api import TABLES, Metabase
from double.needs import executable, limit, memory
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
    Rule("MB_LOAD_SAMPLE_CONTENT", r"true|false", "true or false", required=False),
)  # fmt: skip
# Beside the heap: metaspace, code, threads, buffers, the temporary folder (v0.64.1.5: 1412 MB with -Xmx1g, nothing done yet).
BESIDE_MB = 400
# That it starts in: a gigabyte with a quarter of it as heap no longer did (metabase/metabase#72942).
NEEDED_MB = 1200
DEFAULT_SHARE = 25.0  # of the container's memory, the JVM's own
SHARE = re.compile(r"-XX:MaxRAMPercentage=(\d+(?:\.\d+)?)")
SIZE = re.compile(r"-Xmx(\d+)([kKmMgG])")
KEY_MISMATCH = (
    "Database was encrypted with a different key than the MB_ENCRYPTION_SECRET_KEY environment contains"
)


def run(arguments: list[str], environment: Environment) -> None:
    """Start the server."""
    if arguments:
        raise Refused(f"cannot run {' '.join(arguments)}: the double knows no commands of Metabase")
    demand(environment, (*RULES, *METABASE), [_heap_problem(environment.get("JAVA_OPTS", ""), limit())])
    memory(NEEDED_MB)
    writable(tempfile.gettempdir())
    if environment.get("MB_LOAD_SAMPLE_CONTENT") != "false":
        executable(tempfile.gettempdir())  # the sample database's driver is unpacked and loaded there
    writable(_cache(environment))
    _plugins(Path(environment.get("MB_PLUGINS_DIR", "/plugins")))
    database = _database(environment)
    database.login()
    ready = threading.Event()
    threading.Thread(target=_initialise, args=(database, environment, ready), daemon=True).start()
    api = Metabase(database, environment["MB_SITE_URL"], ready, environment)
    if metrics := environment.get("MB_PROMETHEUS_SERVER_PORT"):
        exporter = server(Site({"GET /metrics": _metrics}), int(metrics))
        threading.Thread(target=exporter.serve_forever, daemon=True).start()
    serve(
        api.site(),
        int(environment.get("MB_JETTY_PORT") or 3000),
        environment.get("MB_JETTY_HOST") or "localhost",
        queue=50,  # Java's, where Jetty names none
    )


def _cache(environment: Environment) -> Path:
    """Where Truffle keeps what it unpacks: XDG_CACHE_HOME, else below the home that the JVM knows."""
    said = re.findall(r"-Duser\.home=(\S+)", environment.get("JAVA_OPTS", ""))
    home = Path(said[-1] if said else environment.get("HOME", "/"))
    return Path(environment.get("XDG_CACHE_HOME") or home / ".cache") / "org.graalvm.polyglot"


def _heap_problem(options: str, limit_mb: int | None) -> str:
    """What the JVM says of its options, and a heap that would not leave it enough beside."""
    words = options.split()
    if unknown := [word for word in words if re.match(r"-Xm|-XX:.*RAM", word) and not _of_memory(word)]:
        return f"JAVA_OPTS: {unknown[0]}: Could not create the Java Virtual Machine"
    if limit_mb is None:
        return ""
    sizes = [SIZE.fullmatch(word) for word in words]
    shares = [SHARE.fullmatch(word) for word in words]
    units = {"k": 1 / 1024, "m": 1, "g": 1024}
    given = [int(found[1]) * units[found[2].lower()] for found in sizes if found]
    share = [float(found[1]) for found in shares if found] or [DEFAULT_SHARE]
    heap = given[-1] if given else limit_mb * share[-1] / 100
    if heap > limit_mb - BESIDE_MB:
        return f"JAVA_OPTS: a heap of {heap:.0f} MB in {limit_mb} MB leaves less than the {BESIDE_MB} MB beside it"
    return ""


def _of_memory(word: str) -> bool:
    known = (
        SIZE,
        SHARE,
        re.compile(r"-Xm[sn]\d+[kKmMgG]"),
        re.compile(r"-XX:(Initial|Min)RAMPercentage=[\d.]+"),
    )
    return any(pattern.fullmatch(word) for pattern in known)


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

"""Chatwoot: `rails s`, `sidekiq`, `rails db:chatwoot_prepare` and `rails runner`, by the arguments of `bundle exec`.

Not confirmed from a source: that web and sidekiq end when the tables are missing (in production they certainly
do not work), the length that SECRET_KEY_BASE needs, and that FRONTEND_URL is checked as early as here.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from double.chatwoot_accounts import Accounts
from double.chatwoot_runner import run_script
from double.chatwoot_sidekiq import work
from double.chatwoot_web import site
from double.contract import (
    ANYTHING,
    BOOLEAN,
    NUMBER,
    REDIS_URL,
    URL,
    Environment,
    Refused,
    Rule,
    demand,
    writable,
)
from double.mail import CHATWOOT
from double.needs import memory
from double.store import Database, redis_client, wait_for_port
from double.web import serve

RULES = (
    Rule("SECRET_KEY_BASE", r"[A-Za-z0-9]{30,}", "letters and digits only, at least 30 of them"),
    Rule("FRONTEND_URL", URL, "an absolute URL such as https://crm.example.com"),
    Rule("INSTALLATION_ENV", r"docker|linux_script|heroku|caprover", "docker in a container"),
    Rule("RAILS_ENV", r"production", "production"),
    Rule("POSTGRES_HOST", ANYTHING, "the database's host"),
    Rule("POSTGRES_PORT", NUMBER, "a number", required=False),
    Rule("POSTGRES_DATABASE", ANYTHING, "the database's name"),
    Rule("POSTGRES_USERNAME", ANYTHING, "the database's role"),
    Rule("POSTGRES_PASSWORD", ANYTHING, "the role's password"),
    Rule("REDIS_URL", REDIS_URL, "redis://[user:password@]host:port/number"),
    Rule("POSTGRES_STATEMENT_TIMEOUT", r"\d+(ms|s|min)?", "a time such as 14s", required=False),
    Rule("ENABLE_ACCOUNT_SIGNUP", r"true|false|api_only", "true, false or api_only", required=False),
    Rule("FORCE_SSL", BOOLEAN, "true or false", required=False),
    Rule("ACTIVE_STORAGE_SERVICE", r"local|amazon|microsoft|google|s3_compatible", "local or a cloud's", required=False),
)  # fmt: skip
ENCRYPTION = tuple(
    f"ACTIVE_RECORD_ENCRYPTION_{name}" for name in ("PRIMARY_KEY", "DETERMINISTIC_KEY", "KEY_DERIVATION_SALT")
)
# What each takes once it answers; upstream's own unit lets sidekiq have 1200.
NEEDED_MB = {"s": 768, "server": 768, "sidekiq": 768, "db:chatwoot_prepare": 512, "runner": 512}
BOOTSNAP_MB = 100  # its cache of compiled code in /app/tmp, which a tmpfs charges to the container
TABLES = ("ar_internal_metadata", "schema_migrations", "installation_configs", "users", "accounts")
USAGE = (
    "the double knows: rails s, rails db:chatwoot_prepare, rails runner SCRIPT, sidekiq -C config/sidekiq.yml"
)


def run(arguments: list[str], environment: Environment) -> None:
    """One of Chatwoot's programs; `wait` is what the entrypoint does before it."""
    demand(environment, (*RULES, *CHATWOOT), [_encryption_problem(environment)])
    if arguments == ["wait"]:
        wait_for_port(environment["POSTGRES_HOST"], int(environment.get("POSTGRES_PORT") or 5432), 1e9)
        return
    cache = 0 if environment.get("DISABLE_BOOTSNAP_COMPILE_CACHE") else BOOTSNAP_MB
    memory(cache + next((NEEDED_MB[word] for word in arguments[:2] if word in NEEDED_MB), 0))
    accounts = _accounts(environment)
    match arguments:
        case ["rails", "db:chatwoot_prepare"]:
            accounts.prepare()
        case ["rails", "s" | "server", *options]:
            _web(accounts, environment, options)
        case ["rails", "runner", script]:
            _demand_tables(accounts.database)
            run_script(script, environment, accounts)
        case ["sidekiq", "-C", "config/sidekiq.yml"]:
            _demand_tables(accounts.database)
            _storage(environment, "sidekiq")
            work(accounts.redis, environment)
        case _:
            raise Refused(f"cannot run {' '.join(arguments)!r}: {USAGE}")


def _encryption_problem(environment: Environment) -> str:
    missing = [name for name in ENCRYPTION if not environment.get(name)]
    if not missing or len(missing) == len(ENCRYPTION):
        return ""
    return f"{', '.join(missing)} is missing: the three ACTIVE_RECORD_ENCRYPTION_ variables go together"


def _accounts(environment: Environment) -> Accounts:
    fields = {
        "HOST": "host",
        "PORT": "port",
        "DATABASE": "dbname",
        "USERNAME": "user",
        "PASSWORD": "password",
    }
    given = {key: environment.get(f"POSTGRES_{name}", "") for name, key in fields.items()}
    database = Database(" ".join(f"{key}='{_quoted(value)}'" for key, value in given.items() if value))
    database.login()
    redis = redis_client(environment["REDIS_URL"], environment.get("REDIS_PASSWORD", ""))
    return Accounts(database, redis)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _demand_tables(database: Database) -> None:
    missing = [table for table in TABLES if not database.has_table(table)]
    if missing:
        raise Refused(
            f'PG::UndefinedTable: relation "{missing[0]}" does not exist: run bundle exec rails db:chatwoot_prepare first'
        )


def _storage(environment: Environment, role: str) -> None:
    """Web and sidekiq share the folder of uploads; each leaves a file there that names its host."""
    if environment.get("ACTIVE_STORAGE_SERVICE", "local") == "local":
        (writable("/app/storage") / f"seen-by-{role}").write_text(socket.gethostname() + "\n")


def _web(accounts: Accounts, environment: Environment, options: list[str]) -> None:
    _demand_tables(accounts.database)
    if not environment.get("RAILS_LOG_TO_STDOUT"):
        writable("/app/log")
    pids = writable("/app/tmp/pids")
    (pids / "server.pid").write_text("1\n")
    _storage(environment, "web")
    values = dict(zip(options[::2], options[1::2], strict=False))
    made = site(accounts, environment, urlsplit(environment["FRONTEND_URL"]))
    serve(made, int(values.get("-p", "3000")), values.get("-b", "127.0.0.1"))

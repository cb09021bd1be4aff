"""What the contract doubles refuse before they start: run as their images run them, without Docker."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.images import FOLDER

PROGRAM = FOLDER / "double"
CHATWOOT = {
    "SECRET_KEY_BASE": "a1" * 20,
    "FRONTEND_URL": "https://crm.example.com",
    "INSTALLATION_ENV": "docker",
    "RAILS_ENV": "production",
    "POSTGRES_HOST": "127.0.0.1",
    "POSTGRES_PORT": "1",
    "POSTGRES_DATABASE": "chatwoot",
    "POSTGRES_USERNAME": "chatwoot",
    "POSTGRES_PASSWORD": "secret",
    "REDIS_URL": "redis://chatwoot:secret@127.0.0.1:1/0",
}
BOTPRESS = {
    "DATABASE_URL": "postgres://botpress:secret@127.0.0.1:1/botpress",
    "EXTERNAL_URL": "https://bot.example.com",
}
METABASE = {
    "MB_DB_TYPE": "postgres",
    "MB_DB_HOST": "127.0.0.1",
    "MB_DB_PORT": "1",
    "MB_DB_DBNAME": "metabase",
    "MB_DB_USER": "metabase",
    "MB_DB_PASS": "secret",
    "MB_SITE_URL": "https://kpi.example.com",
    "MB_ENCRYPTION_SECRET_KEY": "k" * 16,
}
DOKPLOY = {
    "DATABASE_URL": "postgres://dokploy:secret@127.0.0.1:1/dokploy",
    "BETTER_AUTH_SECRET": "s" * 32,
    "POSTGRES_WAIT_TIMEOUT": "0",
}
START = {
    "chatwoot": ("rails", "s", "-p", "3000", "-b", "0.0.0.0"),
    "botpress": (),
    "metabase": (),
    "dokploy": ("wait-for-postgres",),
}
GIVEN: dict[str, dict[str, str]] = {
    "duckling": {},
    "chatwoot": CHATWOOT,
    "botpress": BOTPRESS,
    "metabase": METABASE,
    "dokploy": DOKPLOY,
}


def refusal(program: str, changes: dict[str, str | None], *arguments: str) -> str:
    """What the double says when it refuses; a start that is not refused fails the test."""
    merged: dict[str, str | None] = {**GIVEN[program], **changes}
    environment = {name: value for name, value in merged.items() if value is not None}
    result = subprocess.run(
        [sys.executable, "-m", "double", program, *(arguments or START[program])],
        env={"PYTHONPATH": str(PROGRAM), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert result.returncode == 1, result.stdout + result.stderr
    first, _, rest = result.stderr.partition("\n")
    assert first == f"{program}: cannot start", result.stderr
    return rest.strip()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SECRET_KEY_BASE", None, "SECRET_KEY_BASE is missing: letters and digits only, at least 30 of them"),
        ("SECRET_KEY_BASE", "a" * 29, "SECRET_KEY_BASE is malformed: letters and digits only, at least 30 of them"),
        ("SECRET_KEY_BASE", "a" * 40 + "-", "SECRET_KEY_BASE is malformed: letters and digits only, at least 30 of them"),
        ("FRONTEND_URL", "crm.example.com", "FRONTEND_URL is malformed: an absolute URL such as https://crm.example.com"),
        ("INSTALLATION_ENV", None, "INSTALLATION_ENV is missing: docker in a container"),
        ("RAILS_ENV", "development", "RAILS_ENV is malformed: production"),
        ("POSTGRES_PASSWORD", "", "POSTGRES_PASSWORD is missing: the role's password"),
        ("REDIS_URL", "redis:6379", "REDIS_URL is malformed: redis://[user:password@]host:port/number"),
        ("SMTP_PORT", "smtp", "SMTP_PORT is malformed: a number"),
        ("SMTP_AUTHENTICATION", "PLAIN", "SMTP_AUTHENTICATION is malformed: plain, login, cram_md5 or xoauth2"),
        ("ENABLE_ACCOUNT_SIGNUP", "no", "ENABLE_ACCOUNT_SIGNUP is malformed: true, false or api_only"),
        ("ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY", "x", ("ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY, "
         "ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT is missing: the three ACTIVE_RECORD_ENCRYPTION_ variables go together")),
    ],
)  # fmt: skip
def test_chatwoot_refuses_a_missing_or_malformed_variable(name: str, value: str | None, message: str) -> None:
    assert refusal("chatwoot", {name: value}) == message


def test_all_problems_are_named_at_once() -> None:
    assert refusal("chatwoot", {"SECRET_KEY_BASE": None, "FRONTEND_URL": "x"}).splitlines() == [
        "SECRET_KEY_BASE is missing: letters and digits only, at least 30 of them",
        "FRONTEND_URL is malformed: an absolute URL such as https://crm.example.com",
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", None, "DATABASE_URL is missing: postgres://user:password@host:port/database, or Botpress would use SQLite"),
        ("DATABASE_URL", "postgres://host/db", "DATABASE_URL is malformed: postgres://user:password@host:port/database, or Botpress would use SQLite"),
        ("EXTERNAL_URL", None, "EXTERNAL_URL is missing: an absolute URL such as https://bot.example.com"),
        ("BPFS_STORAGE", "s3", "BPFS_STORAGE is malformed: database or disk"),
        ("CLUSTER_ENABLED", "true", "Redis is enabled in your Botpress configuration. To use Botpress in a cluster, please upgrade to Botpress Pro."),
    ],
)  # fmt: skip
def test_botpress_refuses_a_missing_or_malformed_variable(name: str, value: str | None, message: str) -> None:
    assert refusal("botpress", {name: value}) == message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MB_DB_TYPE", None, "MB_DB_TYPE is missing: postgres, or Metabase would keep all in a file of the container"),
        ("MB_DB_TYPE", "h2", "MB_DB_TYPE is malformed: postgres, or Metabase would keep all in a file of the container"),
        ("MB_DB_PORT", "pg", "MB_DB_PORT is malformed: a number"),
        ("MB_SITE_URL", "kpi.example.com", "MB_SITE_URL is malformed: an absolute URL such as https://kpi.example.com"),
        ("MB_ENCRYPTION_SECRET_KEY", "k" * 15, "MB_ENCRYPTION_SECRET_KEY is malformed: at least 16 characters"),
        ("JAVA_OPTS", "-Xmx", "JAVA_OPTS: -Xmx: Could not create the Java Virtual Machine"),
        ("JAVA_OPTS", "-XX:MaxRAMPercentage=50%", "JAVA_OPTS: -XX:MaxRAMPercentage=50%: Could not create the Java Virtual Machine"),
        ("MB_EMAIL_SMTP_SECURITY", "SSL", "MB_EMAIL_SMTP_SECURITY is malformed: tls, ssl, starttls or none"),
        ("MB_LOAD_SAMPLE_CONTENT", "no", "MB_LOAD_SAMPLE_CONTENT is malformed: true or false"),
    ],
)  # fmt: skip
def test_metabase_refuses_a_missing_or_malformed_variable(name: str, value: str | None, message: str) -> None:
    assert refusal("metabase", {name: value}) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATABASE_URL": None}, "DATABASE_URL and POSTGRES_PASSWORD_FILE are missing: Dokploy would fall back to a password that is public"),
        ({"DATABASE_URL": "postgres://dokploy:amukds4wi9001583845717ad2@db/dokploy"}, "the database's password is Dokploy's public fallback"),
        ({"DATABASE_URL": "mysql://a:b@c/d"}, "DATABASE_URL is malformed: postgres://user:password@host:port/database"),
        ({"DATABASE_URL": None, "POSTGRES_PASSWORD_FILE": "/absent"}, "cannot read /absent, the value of POSTGRES_PASSWORD_FILE: No such file or directory"),
        ({"BETTER_AUTH_SECRET": None}, "BETTER_AUTH_SECRET and BETTER_AUTH_SECRET_FILE are missing: Dokploy would fall back to a secret that is public"),
        ({"BETTER_AUTH_SECRET": "better-auth-secret-123456789"}, "BETTER_AUTH_SECRET is Dokploy's public fallback"),
    ],
)  # fmt: skip
def test_dokploy_refuses_upstreams_fallbacks(changes: dict[str, str | None], message: str) -> None:
    assert refusal("dokploy", changes) == message


def test_dokploy_reads_its_secrets_from_files(tmp_path: Path) -> None:
    for name in ("password", "secret"):
        (tmp_path / name).write_text(f"{name}/with:signs\n")
    files = {
        "POSTGRES_PASSWORD_FILE": str(tmp_path / "password"),
        "BETTER_AUTH_SECRET_FILE": str(tmp_path / "secret"),
    }
    given = {
        "DATABASE_URL": None,
        "BETTER_AUTH_SECRET": None,
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": "1",
    }
    assert refusal("dokploy", {**given, **files}) == (
        "nothing listens on 127.0.0.1:1 after 0 s: [Errno 111] Connection refused"
    )


def test_dokploy_accepts_a_database_that_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"postgres://dokploy:secret@127.0.0.1:{listening.getsockname()[1]}/dokploy"
        result = subprocess.run(
            [sys.executable, "-m", "double", "dokploy", "wait-for-postgres"],
            env={"PYTHONPATH": str(PROGRAM), "PYTHONDONTWRITEBYTECODE": "1", **DOKPLOY, "DATABASE_URL": url},
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        ("botpress", ("lang",), "cannot run bp lang: the double knows only bp and bp serve"),
        ("duckling", ("-p", "8000"), "cannot run duckling -p 8000: the double knows no options"),
        ("metabase", ("migrate",), "cannot run migrate: the double knows no commands of Metabase"),
        ("dokploy", ("start",), "cannot run 'start': wait-for-postgres, migration or server"),
    ],
)
def test_a_command_that_a_double_does_not_know_is_refused(
    program: str, arguments: tuple[str, ...], message: str
) -> None:
    assert refusal(program, {}, *arguments) == message


@pytest.mark.parametrize("program", ["chatwoot", "botpress", "metabase", "dokploy"])
def test_no_refusal_shows_a_value(program: str) -> None:
    spoilt: dict[str, str | None] = dict.fromkeys(GIVEN[program], "pass word\n")
    assert "pass word" not in refusal(program, spoilt)

"""Odoo's first run: what it does to a new, a half-made and a used database, with an odoo that notes its calls."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.rendering import render
from tasks.services import load
from tests.samples import stack

STACK = stack()
ODOO = next(item for item in load(STACK) if item.name == "odoo")
PROGRAM = render.render(STACK, ODOO)["odoo/first-run"]
OPTIONS = "--no-http --workers=0 --max-cron-threads=0 --database=odoo"

# Whether there is a mark, or the module base, is whether there is a file of that name.
PSYCOPG2 = """
import os
from types import SimpleNamespace
class OperationalError(Exception): pass
errors = SimpleNamespace(UndefinedTable=type("UndefinedTable", (Exception,), {}))
class Cursor:
    def __enter__(self): return self
    def __exit__(self, *error): pass
    def execute(self, query):
        names = {"smarteros.first_admin": "marked", "ir_mail_server": "server"}
        self.name = next((name for part, name in names.items() if part in query), "base")
        if not os.path.exists("base"): raise errors.UndefinedTable
    def fetchone(self): return (1,) if os.path.exists(self.name) else None
def connect(dbname, connect_timeout):
    if os.path.exists("closed"): raise OperationalError("FATAL: no")
    return SimpleNamespace(cursor=Cursor, close=lambda: None)
"""
PROGRAM_ODOO = """#!/bin/sh
echo "$*" >> calls
[ ! -e "fails" ] || exit 3
case "$*" in
shell*)
    cat > said
    if ! grep -q mail_server said; then mv said script; touch marked
    else mv said mail; if [ "$MAIL_HOST" ]; then touch server; else rm server; fi; fi ;;
*) touch base ;;
esac
"""


@pytest.fixture(autouse=True)
def _container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"psycopg2.py": PSYCOPG2, "odoo": PROGRAM_ODOO, "first-run": PROGRAM}.items():
        Path(name).write_text(text)
    Path("odoo").chmod(0o755)


def run(**environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "first-run"],
        env={"PATH": f".:{os.environ['PATH']}", **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def calls() -> list[str]:
    return Path("calls").read_text().splitlines() if Path("calls").exists() else []


def test_a_new_database_is_initialised_and_gets_its_admin_and_a_second_run_does_nothing() -> None:
    both = [f"{OPTIONS} --init=base --without-demo=all --stop-after-init", f"shell {OPTIONS}"]
    assert run() == (0, "")
    assert calls() == both
    assert run() == (0, "")
    assert calls() == both


def test_a_database_that_was_left_between_the_two_gets_its_admin() -> None:
    Path("base").touch()
    assert run() == (0, "")
    assert calls() == [f"shell {OPTIONS}"]


def test_a_failure_of_odoo_ends_it() -> None:
    Path("fails").touch()
    failed = (
        f"odoo {OPTIONS} --init=base --without-demo=all --stop-after-init failed: the lines above say why\n"
    )
    assert run() == (1, failed)
    assert calls() == [failed.removeprefix("odoo ").partition(" failed")[0]]


def test_a_database_that_is_closed_is_said() -> None:
    Path("closed").touch()
    assert run() == (1, "the database odoo does not let us in: FATAL: no\n")


class Env(dict[str, Any]):
    """As much of Odoo's environment as the script uses; ``changed`` is what it wrote."""

    def __init__(self, login: str, password: str) -> None:
        self.changed: list[Any] = []
        self.committed = False
        row = (login, f"hash of {password}")
        self.cr = SimpleNamespace(execute=lambda _query: None, fetchone=lambda: row, commit=self.commit)
        partner = SimpleNamespace(write=self.changed.append)
        user = SimpleNamespace(write=self.changed.append, partner_id=partner)
        crypt = SimpleNamespace(verify=lambda plain, stored: stored == f"hash of {plain}")
        users = SimpleNamespace(browse=lambda number: {2: user}[number], _crypt_context=lambda: crypt)
        parameters = SimpleNamespace(set_param=lambda *pair: self.changed.append(pair))
        super().__init__({"res.users": users, "ir.config_parameter": parameters})

    def commit(self) -> None:
        """What was changed stays."""
        self.committed = True


def script(login: str, password: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    assert run() == (0, "")
    monkeypatch.setenv("ADMIN_EMAIL", "ops@smarterbot.cl")
    monkeypatch.setenv("ADMIN_PASSWORD", "from Vault")
    env = Env(login, password)
    exec(compile(Path("script").read_text(), "script", "exec"), {"env": env})
    assert env.committed
    return env.changed


def test_the_default_login_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    assert script("admin", "admin", monkeypatch) == [
        {"login": "ops@smarterbot.cl", "password": "from Vault"},
        {"email": "ops@smarterbot.cl"},
        ("smarteros.first_admin", "done"),
    ]


@pytest.mark.parametrize(
    ("login", "password"), [("admin", "changed"), ("boss", "changed"), ("boss", "admin")]
)
def test_a_login_or_password_of_a_person_is_kept(
    login: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert script(login, password, monkeypatch) == [("smarteros.first_admin", "done")]


class Servers:
    """Outgoing servers as far as the script uses them: of those in ``there`` it finds its own by its name."""

    def __init__(self, there: list[dict[str, Any]], kinds: tuple[str, ...]) -> None:
        self.there, self.found, self.kinds = there, there, kinds

    def with_context(self, *, active_test: bool) -> "Servers":
        """Those that are switched off as well."""
        assert not active_test
        return self

    def search(self, domain: list[tuple[str, str, str]], limit: int) -> "Servers":
        """By name."""
        ((_, _, name),) = domain
        self.found = [item for item in self.there if item["name"] == name][:limit]
        return self

    def fields_get(self, names: list[str]) -> dict[str, Any]:
        """What may be chosen."""
        return {name: {"selection": [(kind, kind.upper()) for kind in self.kinds]} for name in names}

    def __bool__(self) -> bool:
        """Whether any was found."""
        return bool(self.found)

    def write(self, values: dict[str, Any]) -> None:
        """Those that were found."""
        for item in self.found:
            item.update(values)

    def create(self, values: dict[str, Any]) -> None:
        """One more."""
        self.there.append(values)

    def unlink(self) -> None:
        """Those that were found go."""
        self.there[:] = [item for item in self.there if item not in self.found]


MAIL = {
    "MAIL_HOST": "smtp.example.com",
    "MAIL_PORT": "587",
    "MAIL_USER": "ops",
    "MAIL_FROM": "ops@example.com",
}
OLD = ("none", "starttls", "ssl")
STRICT = (*OLD, "starttls_strict", "ssl_strict")
THEIRS = {"name": "Ours since 2019", "smtp_host": "mail.example.org"}


def outgoing(
    there: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    mail: dict[str, str],
    kinds: tuple[str, ...] = STRICT,
) -> list[dict[str, Any]]:
    """The outgoing servers once the script has run with this environment."""
    Path("base").touch()
    Path("marked").touch()
    if len(there) > 1:
        Path("server").touch()
    assert run(**mail) == (0, "")
    for name, value in mail.items():
        monkeypatch.setenv(name, value)
    env = Env("x", "y")
    env["ir.mail_server"] = Servers(there, kinds)
    exec(compile(Path("mail").read_text(), "mail", "exec"), {"env": env})
    assert env.committed
    return there


def test_the_settings_server_is_made_beside_those_of_people(monkeypatch: pytest.MonkeyPatch) -> None:
    mail = {**MAIL, "MAIL_SECURITY": "starttls", "MAIL_PASSWORD": "pa$$"}
    assert outgoing([dict(THEIRS)], monkeypatch, mail) == [
        THEIRS,
        {
            "name": "SmarterOS (settings: mail)",
            "active": True,
            "sequence": 1,
            "smtp_host": "smtp.example.com",
            "smtp_port": 587,
            "smtp_user": "ops",
            "smtp_pass": "pa$$",
            "smtp_encryption": "starttls_strict",
            "from_filter": "ops@example.com",
        },
    ]


@pytest.mark.parametrize(
    ("security", "kinds", "kind"),
    [
        ("starttls", OLD, "starttls"),
        ("tls", OLD, "ssl"),
        ("tls", STRICT, "ssl_strict"),
        ("none", STRICT, "none"),
    ],
)
def test_it_is_changed_with_the_settings_in_the_words_of_the_release(
    security: str, kinds: tuple[str, ...], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {"name": "SmarterOS (settings: mail)", "smtp_host": "old", "smtp_pass": "old"}
    mail = {**MAIL, "MAIL_USER": "", "MAIL_SECURITY": security}
    first, second = outgoing([dict(THEIRS), ours], monkeypatch, mail, kinds)
    assert first == THEIRS
    assert (second["smtp_host"], second["smtp_pass"], second["smtp_encryption"]) == (
        "smtp.example.com",
        "",
        kind,
    )


def test_without_the_setting_ours_goes_and_theirs_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"name": "SmarterOS (settings: mail)", "smtp_host": "old"}
    assert outgoing([dict(THEIRS), ours], monkeypatch, {}) == [THEIRS]
    assert calls() == [f"shell {OPTIONS}"]
    assert run() == (0, "")
    assert calls() == [f"shell {OPTIONS}"]


def test_no_container_of_odoo_has_the_databases_password_in_its_command_line() -> None:
    entrypoints = {item.name: (item.entrypoint, item.command) for item in ODOO.containers}
    assert entrypoints == {
        "odoo-init": (("python3", "/etc/odoo/first-run"), ()),
        "odoo": (("odoo",), ()),
    }

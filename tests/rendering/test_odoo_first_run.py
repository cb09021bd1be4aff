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
URL = "https://erp.smarterbot.cl"
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
        names = {"smarteros.first_admin": "marked", "ir_mail_server": "server", "smarteros.base_url": "offered"}
        self.name = next((name for part, name in names.items() if part in query), "base")
        self.query = query
        if not os.path.exists("base"): raise errors.UndefinedTable
    def fetchone(self):
        if not os.path.exists(self.name): return None
        return (1,) if self.name != "offered" or open(self.name).read() in self.query else None
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
    if grep -q base.url said; then mv said address; printf %s "$BASE_URL" > offered
    elif ! grep -q mail_server said; then mv said script; touch marked
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
        env={"PATH": f".:{os.environ['PATH']}", "BASE_URL": URL, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def calls() -> list[str]:
    return Path("calls").read_text().splitlines() if Path("calls").exists() else []


def test_a_new_database_is_initialised_and_gets_its_admin_and_a_second_run_does_nothing() -> None:
    all_of_it = [f"{OPTIONS} --init=base --without-demo=all --stop-after-init", *[f"shell {OPTIONS}"] * 2]
    assert run() == (0, "")
    assert calls() == all_of_it
    assert run() == (0, "")
    assert calls() == all_of_it


def test_a_database_that_was_left_between_the_two_gets_its_admin() -> None:
    Path("base").touch()
    assert run() == (0, "")
    assert calls() == [f"shell {OPTIONS}"] * 2


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
        self.committed = self.signalled = False
        self.registry = SimpleNamespace(signal_changes=self.signal)
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

    def signal(self) -> None:
        """Others that run hear of what has been committed."""
        self.signalled = self.committed


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


class Parameters(dict[str, str]):
    """Odoo's settings, as far as the script uses them; one that is empty is not there."""

    def get_param(self, key: str) -> str | bool:
        """What Odoo answers for one that is not there is False."""
        return self.get(key, False)

    def set_param(self, key: str, value: str) -> None:
        """Odoo's name for it."""
        self[key] = value


def addressed(there: dict[str, str], monkeypatch: pytest.MonkeyPatch, url: str = URL) -> dict[str, str]:
    """What of Odoo's settings is not only ours, once the script has run."""
    for name in ("base", "marked"):
        Path(name).touch()
    assert run(BASE_URL=url) == (0, "")
    monkeypatch.setenv("BASE_URL", url)
    env, parameters = Env("x", "y"), Parameters(there)
    env["ir.config_parameter"] = parameters
    exec(compile(Path("address").read_text(), "address", "exec"), {"env": env})
    assert env.signalled
    assert parameters.pop("smarteros.base_url") == url
    return parameters


OURS = {
    "web.base.url": URL,
    "web.base.url.freeze": "True",
    "report.url": "http://127.0.0.1:8069",
}


@pytest.mark.parametrize(
    "guessed", ["http://localhost:8069", "http://127.0.0.1:8069", "https://old.example.org"]
)
def test_an_address_that_odoo_has_guessed_becomes_its_domain_for_good(
    guessed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert addressed({"web.base.url": guessed}, monkeypatch) == OURS


def test_the_address_goes_with_the_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("offered").write_text(URL)
    new = "https://odoo.example.org"
    there = {**OURS, "smarteros.base_url": URL}
    assert addressed(there, monkeypatch, new) == {**OURS, "web.base.url": new}
    assert calls() == [f"shell {OPTIONS}"]
    assert run(BASE_URL=new) == (0, "")
    assert calls() == [f"shell {OPTIONS}"]


@pytest.mark.parametrize("offered", [{}, {"smarteros.base_url": "https://old.example.org"}])
def test_an_address_of_a_persons_is_kept(offered: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {**OURS, "web.base.url": "https://shop.example.org", "report.url": "http://odoo:8069"}
    assert addressed({**theirs, **offered}, monkeypatch) == theirs


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
    for name, text in {"base": "", "marked": "", "offered": URL}.items():
        Path(name).write_text(text)
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

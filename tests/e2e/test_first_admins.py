"""First admins: each service is its operator's before its domain answers, and what a person changes is kept."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tasks.commands import rotate
from tests.e2e.clients import browser, containers, secrets, until_healthy
from tests.e2e.deployment import Deployment, Run
from tests.e2e.vault_access import Vault, opened

LOGIN = "ops@smarterbot.cl"
MALLORY = {"email": "mallory@example.com", "password": "Mallory-was-here-1"}
PASSWORDS = {
    "chatwoot": "ADMIN_PASSWORD",
    "botpress": "BP_ADMIN_PASSWORD",
    "n8n": "N8N_OWNER_PASSWORD",
    "odoo": "ADMIN_PASSWORD",
    "metabase": "ADMIN_PASSWORD",
    "dokploy": "ADMIN_PASSWORD",
}
MAIN = {name: "smarteros-metabase" if name == "metabase" else name for name in PASSWORDS}


def chatwoot(visitor: httpx.Client, login: str, password: str) -> bool:
    """Whether it lets somebody in, and as its administrator."""
    given = {"email": login, "password": password}
    answer = visitor.post("https://crm.smarterbot.cl/auth/sign_in", json=given)
    return answer.status_code == 200 and answer.json()["data"]["type"] == "SuperAdmin"


def botpress(visitor: httpx.Client, login: str, password: str) -> bool:
    """The same; the first one to register is its administrator."""
    given = {"email": login, "password": password}
    answer = visitor.post("https://bot.smarterbot.cl/api/v1/auth/login/basic/default", json=given)
    return answer.status_code == 200 and answer.json()["status"] == "success"


def n8n(visitor: httpx.Client, login: str, password: str) -> bool:
    """The same, as its owner."""
    given = {"emailOrLdapLoginId": login, "password": password}
    answer = visitor.post("https://n8n.smarterbot.cl/rest/login", json=given)
    return answer.status_code == 200 and answer.json()["data"]["role"] == "global:owner"


def odoo(visitor: httpx.Client, login: str, password: str) -> bool:
    """The same; its second user is the administrator."""
    given = {"db": "odoo", "login": login, "password": password}
    answer = call(visitor, "/web/session/authenticate", **given)
    return "result" in answer and answer["result"]["uid"] == 2 and answer["result"]["is_admin"]


def call(visitor: httpx.Client, path: str, **params: Any) -> dict[str, Any]:
    """One of Odoo's JSON requests; an error is in the answer."""
    answer: dict[str, Any] = visitor.post(
        f"https://erp.smarterbot.cl{path}", json={"jsonrpc": "2.0", "params": params}
    ).json()
    return answer


def metabase(visitor: httpx.Client, login: str, password: str) -> bool:
    """The same, as a superuser."""
    given = {"username": login, "password": password}
    if visitor.post("https://kpi.smarterbot.cl/api/session", json=given).status_code != 200:
        return False
    return bool(visitor.get("https://kpi.smarterbot.cl/api/user/current").json()["is_superuser"])


def dokploy(visitor: httpx.Client, login: str, password: str) -> bool:
    """The same, as the owner of its one organization, from a page of its own or of its mirror; of no other."""

    def sign_in(zone: str, page: str) -> int:
        given = {"email": login, "password": password}
        for _ in range(15):
            answer = visitor.post(
                f"https://dokploy.{zone}/api/auth/sign-in/email", json=given, headers={"origin": page}
            )
            if answer.status_code != 429:  # the fourth within ten seconds
                break
            time.sleep(1)
        return answer.status_code

    assert sign_in("smarterbot.cl", "https://evil.example") == 403
    mirror = sign_in("smarterbot.store", "https://dokploy.smarterbot.store")
    status = sign_in("smarterbot.cl", "https://dokploy.smarterbot.cl")
    assert mirror == status
    if status != 200:
        return False
    return len(visitor.get("https://dokploy.smarterbot.cl/api/organization.all").json()) == 1


LETS_IN: dict[str, Callable[[httpx.Client, str, str], bool]] = {
    "chatwoot": chatwoot,
    "botpress": botpress,
    "n8n": n8n,
    "odoo": odoo,
    "metabase": metabase,
    "dokploy": dokploy,
}


def enters(deployment: Deployment, name: str, login: str, password: str) -> bool:
    """Whether a new browser gets in with this login."""
    with browser(deployment) as visitor:
        visitor.headers["browser-id"] = "test"  # n8n's sessions are one browser's
        return LETS_IN[name](visitor, login, password)


@pytest.mark.parametrize("name", LETS_IN)
def test_its_admin_logs_in_with_the_password_from_vault_and_with_no_other(
    deployed: Deployment, name: str
) -> None:
    password = secrets(deployed, name)[PASSWORDS[name]]
    assert enters(deployed, name, LOGIN, password)
    assert not enters(deployed, name, LOGIN, MALLORY["password"])
    assert not enters(deployed, name, "admin", "admin")


def test_each_password_is_its_own(deployed: Deployment) -> None:
    assert len({secrets(deployed, name)[PASSWORDS[name]] for name in LETS_IN}) == len(LETS_IN)


def test_no_first_visitor_finds_a_door_open(deployed: Deployment) -> None:
    with browser(deployed) as visitor:
        onboarding = visitor.get("https://crm.smarterbot.cl/installation/onboarding")
        assert (onboarding.status_code, onboarding.headers["location"]) == (302, "/")
        assert visitor.get("https://crm.smarterbot.cl/").status_code == 200
        register = "https://bot.smarterbot.cl/api/v1/auth/register/basic/default"
        assert visitor.post(register, json=MALLORY).status_code == 403
        properties = visitor.get("https://kpi.smarterbot.cl/api/session/properties").json()
        assert (properties["setup-token"], properties["has-user-setup"]) == (None, True)
        setup = {"token": "", "user": MALLORY, "prefs": {"site_name": "M"}}
        assert visitor.post("https://kpi.smarterbot.cl/api/setup", json=setup).status_code == 400
        sign_up = visitor.post(
            "https://dokploy.smarterbot.cl/api/auth/sign-up/email", json={"name": "M", **MALLORY}
        )
        assert (sign_up.status_code, sign_up.json()["message"]) == (400, "Admin is already created")


def test_nobody_makes_databases_through_odoo(deployed: Deployment) -> None:
    with browser(deployed) as visitor:
        manager = visitor.get("https://erp.smarterbot.cl/web/database/manager")
        assert "The database manager has been disabled by the administrator" in manager.text
        wanted = {"master_pwd": "admin", "name": "evil", "login": "a", "password": "b", "lang": "en_US"}
        visitor.post("https://erp.smarterbot.cl/web/database/create", data=wanted)
        arguments = ["admin", "evil", False, "en_US", "b"]
        answer = call(visitor, "/jsonrpc", service="db", method="create_database", args=arguments)
    assert answer["error"]["data"]["message"] == "Access Denied"
    assert sql(deployed, "postgres", "SELECT datname FROM pg_database WHERE datname = 'evil'") == ""


def sql(deployment: Deployment, database: str, query: str) -> str:
    """What the superuser is answered."""
    command = f"docker exec -i postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d {database}"
    return str(deployment.host.run(command, input=query).stdout).strip()


def test_the_scripts_by_hand_change_nothing_and_show_no_password(deployed: Deployment) -> None:
    def state() -> dict[str, tuple[str, str]]:
        return {name: (item["Id"], item["State"]["StartedAt"]) for name, item in containers(deployed).items()}

    before = state()
    for name, field in PASSWORDS.items():
        script = f"/root/{name}-smarter-config.sh"
        started = time.monotonic()
        assert deployed.sh(f"{script} check && {script} apply") == ""
        assert time.monotonic() - started < 20  # it waits for nothing
        shown = deployed.sh(script)
        assert f"    login     {LOGIN}\n" in shown
        assert f"make secret NAME={name}#{field}\n    state     there is an admin" in shown
        password = secrets(deployed, name)[field]
        logs = f"docker logs {MAIN[name]} 2>&1"
        found = deployed.host.run(f"({script}; {logs}) | grep -cF -f /dev/stdin", check=False, input=password)
        assert (password in shown, found.returncode) == (False, 1)
    assert state() == before


def test_a_service_that_is_nobodys_gets_its_admin_again(deployed: Deployment) -> None:
    sql(deployed, "chatwoot", "TRUNCATE users CASCADE")
    sql(deployed, "botpress", "TRUNCATE strategy_default")
    sql(deployed, "metabase", "DELETE FROM core_session; DELETE FROM core_user WHERE is_superuser")
    deployed.sh("docker restart smarteros-metabase >/dev/null")  # it makes its setup token when it starts
    until_healthy(deployed, "smarteros-metabase")
    assert deployed.converge().changes == [
        "Services | Chatwoot CRM: its first admin",
        "Services | Botpress Bot: its first admin",
        "Services | Metabase KPI: its first admin",
    ]
    for name in ("chatwoot", "botpress", "metabase"):
        assert enters(deployed, name, LOGIN, secrets(deployed, name)[PASSWORDS[name]])
    deployed.unchanged()


def test_what_a_person_has_changed_in_odoo_is_kept(deployed: Deployment) -> None:
    password = secrets(deployed, "odoo")["ADMIN_PASSWORD"]
    change(deployed, (LOGIN, password), ("boss", MALLORY["password"]))
    deployed.unchanged()
    # As a database looks that was there before us: it is marked, and nothing else.
    sql(deployed, "odoo", "DELETE FROM ir_config_parameter WHERE key = 'smarteros.first_admin'")
    assert deployed.converge().changes == ["Services | Odoo ERP: its first admin"]
    change(deployed, ("boss", MALLORY["password"]), (LOGIN, password))
    deployed.unchanged()
    assert enters(deployed, "odoo", LOGIN, password)


def change(deployment: Deployment, old: tuple[str, str], new: tuple[str, str]) -> None:
    """Odoo's administrator logs in and changes login and password."""
    with browser(deployment) as visitor:
        assert odoo(visitor, *old)
        values = {"login": new[0], "password": new[1]}
        answer = call(
            visitor,
            "/web/dataset/call_kw",
            model="res.users", method="write", args=[[2], values], kwargs={},
        )  # fmt: skip
        assert answer.get("result") is True, answer


ROTATE = "tasks.commands.rotate.run"


@pytest.fixture
def vault(deployed: Deployment) -> Iterator[Vault]:
    with opened(deployed) as vault:
        yield vault


def rotated(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, name: str) -> Run:
    """``make rotate`` of one service."""
    monkeypatch.setenv(rotate.CHOICE, name)
    run = deployment.run(deploy=ROTATE)
    assert run.code == 0, run.output[-6000:]
    return run


@pytest.mark.parametrize(
    "name", ["odoo", "dokploy"]
)  # the real one, and one that takes three sign-ins in ten seconds
def test_a_rotation_killed_before_the_application_is_told_is_ended_by_the_same_command(
    deployed: Deployment, vault: Vault, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    field, (before, version) = PASSWORDS[name], vault.read(name)
    monkeypatch.setenv(rotate.CHOICE, name)
    with deployed.under_way(deploy=ROTATE) as begun:
        assert begun.stdout
        for line in begun.stdout:
            if "Secrets | /vault/secrets" in line and vault.read(name)[1] > version:
                begun.kill()
                break
    between, _ = vault.read(name)
    assert between[field] != before[field]
    assert enters(deployed, name, LOGIN, before[field])
    run = rotated(deployed, monkeypatch, name)
    after, _ = vault.read(name)
    assert len({values[field] for values in (before, between, after)}) == 3
    assert enters(deployed, name, LOGIN, after[field])
    assert not enters(deployed, name, LOGIN, between[field])
    assert not enters(deployed, name, LOGIN, before[field])
    assert [
        value for value in (*before.values(), *after.values()) if len(value) > 8 and value in run.output
    ] == []
    deployed.unchanged()


def test_a_password_that_a_person_has_changed_stays_in_a_rotation_that_goes_on(
    deployed: Deployment, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = "UPDATE core_user SET password = reverse(password) WHERE is_superuser"
    before, _ = vault.read("metabase")
    sql(deployed, "metabase", changed)
    try:
        run = rotated(deployed, monkeypatch, "metabase")
    finally:
        sql(deployed, "metabase", changed)
    after, _ = vault.read("metabase")
    assert (after["ADMIN_PASSWORD"], after["MB_DB_PASS"] != before["MB_DB_PASS"]) == (
        before["ADMIN_PASSWORD"],
        True,
    )
    assert (
        "metabase#ADMIN_PASSWORD stays: ops@smarterbot.cl is let in with no password that Vault has or had"
        in run.output
    )
    assert "`make give-secrets NAME=metabase#ADMIN_PASSWORD" in run.output
    assert enters(deployed, "metabase", LOGIN, after["ADMIN_PASSWORD"])
    deployed.unchanged()

"""Mail: real n8n and real Odoo send through a server as providers have it, and what goes wrong is said with what to do."""

import html
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from tests.e2e.clients import browser, n8n_owner, secrets
from tests.e2e.deployment import Deployment, Run
from tests.e2e.vault_access import opened
from tests.lab import addresses
from tests.lab.services import SMTP_LOGIN, SMTP_NAME

FROM = "smarteros@example.net"
PASSWORD = SMTP_LOGIN["PASSWORD"]
MAIL = {"host": SMTP_NAME, "user": SMTP_LOGIN["USER"], "from": FROM}
GIVE = "tasks.commands.give_secrets.run"
CHECK = "tasks.commands.check.run"
TEST = "tasks.commands.test_mail.run"
N8N = "https://n8n.smarterbot.cl/rest"
ODOO = "https://erp.smarterbot.cl"


@pytest.fixture(scope="module")
def mailing(deployed: Deployment) -> Iterator[Deployment]:
    """The deployed host with a mail server, whose password was asked for first; without it again afterwards."""
    deployed.lab.mail()
    try:
        refused = deployed.refused(mail=MAIL)
        assert refused.changes == []
        assert (
            "Vault does not hold secret/mail#PASSWORD, which only you know: `make give-secrets "
            "INVENTORY=inventories/lab.py` asks for it and writes it; then deploy again"
        ) in refused.output
        given = give(deployed, PASSWORD)
        assert (given.code, PASSWORD in given.output) == (0, False), given.output
        run = deployed.converge(mail=MAIL)
        assert PASSWORD not in run.output
        yield deployed
    finally:
        deployed.converge()
        with opened(deployed) as vault:
            vault.write("mail", {})


def give(deployment: Deployment, password: str) -> Run:
    """``make give-secrets``, with this answer."""
    return deployment.run("-vvv", deploy=GIVE, typed=f"{password}\n", mail=MAIL)


def ran_test(deployment: Deployment, to: str = "ops@smarterbot.cl", **mail: Any) -> Run:
    """``make test-mail``, with these settings."""
    run = deployment.run("-vvv", deploy=TEST, environment={"TO": to}, mail={**MAIL, **mail})
    assert PASSWORD not in run.output
    return run


def received(deployment: Deployment, to: str, subject: str) -> EmailMessage:
    """The mail with that in its subject, once it is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for mail in deployment.lab.mails():
            if mail["X-RcptTo"] == to and subject.lower() in mail["Subject"].lower():
                return mail
        time.sleep(0.5)
    seen = [(mail["X-RcptTo"], mail["Subject"]) for mail in deployment.lab.mails()]
    raise AssertionError(f"no mail to {to} about {subject!r}, only {seen}")


def link(mail: EmailMessage, pattern: str) -> httpx.URL:
    """The link in it that looks like this."""
    parts = [part for part in mail.walk() if part.get_content_maintype() == "text"]
    text = html.unescape("\n".join(part.get_content() for part in parts))
    found = re.search(rf"https://[^\s\"'<>()]*{pattern}[^\s\"'<>()]*", text)
    assert found, text
    return httpx.URL(found[0])


def test_the_next_deploy_has_nothing_to_do(mailing: Deployment) -> None:
    mailing.unchanged(mail=MAIL)


def test_n8n_sends_an_invitation_and_a_password_reset(mailing: Deployment) -> None:
    who = f"n8n-{time.time_ns()}@example.org"
    with n8n_owner(mailing) as owner:
        made = owner.post(f"{N8N}/invitations", json=[{"email": who, "role": "global:member"}])
        made.raise_for_status()
        user = made.json()["data"][0]["user"]
        assert user["emailSent"] is True, made.text
        try:
            invitation = received(mailing, who, "invited")
            assert (invitation["X-MailFrom"], invitation["From"]) == (FROM, FROM)
            parameters = dict(link(invitation, "/signup").params)
            person = {"firstName": "A", "lastName": "B", "password": "Invited-by-mail-1"}
            with browser(mailing) as guest:
                guest.headers["browser-id"] = "guest"
                accepted = guest.post(
                    f"{N8N}/invitations/accept"
                    if "token" in parameters
                    else f"{N8N}/invitations/{user['id']}/accept",
                    json={**parameters, **person},
                )
                accepted.raise_for_status()
                guest.post(f"{N8N}/forgot-password", json={"email": who}).raise_for_status()
            assert "token" in link(received(mailing, who, "reset"), "/change-password").params
        finally:
            owner.delete(f"{N8N}/users/{user['id']}").raise_for_status()


@contextmanager
def odoo_with_users_that_are_invited(deployment: Deployment) -> Iterator[Callable[..., Any]]:
    """Calls on Odoo's models as its admin, with the module that sends; in a copy of the database, gone afterwards."""
    compose = "docker compose -f /root/dkcompose/odoo-deploy.yaml"
    install = (
        "odoo --no-http --workers=0 --max-cron-threads=0 --database=odoo --init=auth_signup --stop-after-init"
    )
    swapped(
        deployment,
        "ALTER DATABASE odoo RENAME TO odoo_kept; CREATE DATABASE odoo TEMPLATE odoo_kept OWNER odoo;",
    )
    try:
        deployment.sh(f"{compose} run --rm --no-deps -T --entrypoint '' odoo {install}", timeout=600)
        deployment.sh(f"{compose} up -d --wait odoo", timeout=300)
        with browser(deployment) as session:
            yield _calls(deployment, session)
    finally:
        swapped(deployment, "DROP DATABASE odoo; ALTER DATABASE odoo_kept RENAME TO odoo;")
        deployment.sh(f"{compose} up -d --wait odoo", timeout=300)


def forgotten(deployment: Deployment, login: str) -> None:
    """Asks Odoo for another password, as its page does."""
    with browser(deployment) as visitor:
        page = visitor.get(f"{ODOO}/web/reset_password")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token, page.text
        form = {"login": login, "csrf_token": token[1]}
        visitor.post(f"{ODOO}/web/reset_password", data=form, timeout=120).raise_for_status()


def swapped(deployment: Deployment, sql: str) -> None:
    """Odoo stands still while its database becomes another one."""
    deployment.sh("docker stop odoo")
    deployment.host.run(
        "docker exec -i postgres psql -qX -v ON_ERROR_STOP=1 -U postgres -d postgres", input=sql
    )


def _calls(deployment: Deployment, session: httpx.Client) -> Callable[..., Any]:
    def rpc(path: str, **params: Any) -> Any:
        answer = session.post(
            f"{ODOO}{path}", json={"jsonrpc": "2.0", "method": "call", "params": params}, timeout=120
        )
        assert "error" not in answer.json(), answer.text
        return answer.json()["result"]

    def call(model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        return rpc(
            f"/web/dataset/call_kw/{model}/{method}", model=model, method=method, args=args, kwargs=kwargs
        )

    password = secrets(deployment, "odoo")["ADMIN_PASSWORD"]
    rpc("/web/session/authenticate", db="odoo", login="ops@smarterbot.cl", password=password)
    return call


def test_odoo_sends_an_invitation_and_a_password_reset(mailing: Deployment) -> None:
    who = f"odoo-{time.time_ns()}@example.org"
    with odoo_with_users_that_are_invited(mailing) as call:
        servers = call(
            "ir.mail_server", "search_read", [], ["name", "smtp_host", "smtp_encryption", "from_filter"]
        )
        assert [{key: value for key, value in item.items() if key != "id"} for item in servers] == [
            {
                "name": "SmarterOS (settings: mail)",
                "smtp_host": SMTP_NAME,
                "smtp_encryption": "starttls_strict",
                "from_filter": FROM,
            }
        ]
        call("ir.mail_server", "test_smtp_connection", [servers[0]["id"]])
        call("res.users", "create", [{"name": "A Guest", "login": who, "email": who}])
        invitation = received(mailing, who, "invite")
        assert invitation["X-MailFrom"] == FROM
        assert FROM in invitation["From"]
        assert "token" in link(invitation, "/web/signup").params
        forgotten(mailing, who)
        assert "token" in link(received(mailing, who, "reset"), "/web/reset_password").params


def test_chatwoot_and_metabase_send_a_password_reset(mailing: Deployment) -> None:
    admin = {"email": "ops@smarterbot.cl"}
    with browser(mailing) as visitor:
        asked = visitor.post("https://crm.smarterbot.cl/auth/password", json=admin)
        assert asked.status_code == 200, asked.text
        asked = visitor.post("https://kpi.smarterbot.cl/api/session/forgot_password", json=admin)
        assert asked.status_code == 204, asked.text
    assert received(mailing, admin["email"], "Reset password instructions")["X-MailFrom"] == FROM
    assert received(mailing, admin["email"], "[Metabase] Password Reset Request")["X-MailFrom"] == FROM


@pytest.mark.parametrize(
    "mail", [{}, {"security": "tls"}, {"security": "starttls", "port": 587}], ids=json.dumps
)
def test_one_message_is_sent_and_the_servers_answer_said(mailing: Deployment, mail: dict[str, Any]) -> None:
    to = f"test-{time.time_ns()}@example.org"
    run = ran_test(mailing, to, **mail)
    assert run.code == 0, run.output
    port = 465 if mail.get("security") == "tls" else 587
    assert f"mail to {to}: {SMTP_NAME}:{port} took it: 250 OK" in run.output
    assert received(mailing, to, "SmarterOS sends mail")["X-MailFrom"] == FROM


def test_a_wrong_password_is_said_and_never_shown(mailing: Deployment) -> None:
    assert give(mailing, "wrong-One-9").code == 0
    try:
        run = ran_test(mailing)
        check = mailing.run(deploy=CHECK, mail=MAIL)
    finally:
        assert give(mailing, PASSWORD).code == 0
    assert (run.code, "wrong-One-9" in run.output + check.output) == (1, False)
    assert check.code == 1
    assert "mail: one message is delivered: mail.user: " in check.output
    assert (
        f"mail.user: {SMTP_NAME}:587 refuses the login 'relay@example.net': 535 5.7.8 Authentication credentials invalid. "
        "`make give-secrets INVENTORY=inventories/lab.py` writes another password, and the next deploy brings it to the services"
    ) in run.output


def test_what_else_can_be_wrong_is_said_with_what_to_do(mailing: Deployment) -> None:
    address = addresses.address(mailing.lab.description.subnet, addresses.SMTP)
    wrong: list[tuple[dict[str, Any], str]] = [
        (
            {"from": "ops@smarterbot.cl"},
            f"mail.from: {SMTP_NAME}:587 takes no mail from ops@smarterbot.cl: 553 ",
        ),
        ({"host": address}, f"mail.host: the certificate at {address}:587 is not good for that name ("),
        ({"port": 2525}, f"mail: nothing answers at {SMTP_NAME}:2525 ("),
        ({"host": "smtp.nowhere.invalid"}, "mail.host: nobody knows smtp.nowhere.invalid ("),
        ({"user": ""}, f"mail.user: {SMTP_NAME}:587 takes mails only after a login: 530 "),
        ({"port": 2587, "security": "tls"}, f"mail: nothing answers at {SMTP_NAME}:2587 ("),
    ]
    for mail, said in wrong:
        run = ran_test(mailing, **mail)
        assert (run.code, said in run.output) == (1, True), run.output[-3000:]


def test_to_whom_it_goes_has_to_be_said(mailing: Deployment) -> None:
    run = ran_test(mailing, "")
    assert run.code == 1
    assert (
        "TO: '' is no e-mail address: `make test-mail TO=you@example.com INVENTORY=inventories/lab.py`"
        in run.output
    )


def test_the_password_stands_in_env_files_alone(mailing: Deployment) -> None:
    found = mailing.host.run(
        "grep -rlaF -f - /opt/smarteros /root /etc /var/log 2>/dev/null", input=PASSWORD, check=False
    )
    assert found.stdout == ""
    processes = mailing.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert PASSWORD not in processes

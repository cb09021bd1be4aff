"""Test mail: what it says beside the server's answer."""

from types import SimpleNamespace
from typing import Any

import pytest

from tasks import secrets
from tasks.clients.mail import Outcome
from tasks.commands import test_mail as command
from tests.fake import fake

MAIL = {"host": "smtp.example.com", "user": "ops", "from": "ops@example.com"}


# What the containers were started with.
STARTED = {"chatwoot": "of the old", "n8n": "n8n of Vault", "odoo": "odoo of Vault"}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes everything; n8n and Odoo have what Vault holds, Chatwoot had it, Metabase has nothing yet."""

    def taken(*_: Any) -> Outcome:
        return Outcome("", "queued", 250)

    monkeypatch.setattr("tasks.clients.mail.send", taken)
    monkeypatch.setattr(command, "lost", list)
    monkeypatch.setattr(command, "values", lambda _: {"PASSWORD": "new"})
    found = {name: SimpleNamespace(secrets_digest=digest) for name, digest in STARTED.items()}
    monkeypatch.setattr(command, "known", lambda _: SimpleNamespace(containers=found))
    monkeypatch.setattr(secrets, "digest", lambda service: f"{service.name} of Vault")


def test_services_that_hold_other_secrets_are_named(sent: None, caplog: pytest.LogCaptureFixture) -> None:
    with fake({}, mail=MAIL):
        command.delivered("a@example.com")
    assert (
        "mail: this is what the next deploy gives Chatwoot CRM, Metabase KPI: other secrets are in Vault"
        in caplog.text
    )


def test_nobody_is_named_where_all_have_what_vault_holds(
    sent: None, caplog: pytest.LogCaptureFixture
) -> None:
    with fake(
        {}, mail=MAIL, services=["vault", "postgres", "redis", "n8n", "odoo", "vault-auth-validator", "caddy"]
    ):
        command.delivered("a@example.com")
    assert "next deploy" not in caplog.text


def test_a_server_that_wants_no_password_is_about_no_secret(
    sent: None, caplog: pytest.LogCaptureFixture
) -> None:
    with fake({}, mail={"host": "10.0.0.1", "security": "none", "from": "ops@example.com"}):
        command.delivered("a@example.com")
    assert "next deploy" not in caplog.text

"""Mail: each service gets the server in its own words, and its password from the one place in Vault."""

from typing import Any

import pytest

from tasks.model.catalogue import Service
from tasks.model.given import given
from tasks.services import load
from tests.samples import stack

RELAY = {"host": "smtp.example.com", "user": "relay", "from": "ops@example.com"}


def services(**mail: Any) -> dict[str, Service]:
    return {service.name: service for service in load(stack(mail={**RELAY, **mail}))}


def told(service: Service, container: int = 0) -> dict[str, str]:
    """What stands in its environment because of the setting."""
    without = next(item for item in load(stack()) if item.name == service.name)
    before = without.containers[container].environment
    return {
        name: value
        for name, value in service.containers[container].environment.items()
        if before.get(name) != value
    }


def test_each_service_is_told_in_its_own_words() -> None:
    found = services()
    assert {name: told(found[name]) for name in ("chatwoot", "metabase", "n8n", "odoo")} == {
        "chatwoot": {
            "MAILER_SENDER_EMAIL": "ops@example.com",
            "SMTP_ADDRESS": "smtp.example.com",
            "SMTP_AUTHENTICATION": "plain",
            "SMTP_DOMAIN": "example.com",
            "SMTP_ENABLE_STARTTLS_AUTO": "true",
            "SMTP_OPENSSL_VERIFY_MODE": "peer",
            "SMTP_PORT": "587",
            "SMTP_TLS": "false",
            "SMTP_USERNAME": "relay",
        },
        "metabase": {
            "MB_EMAIL_FROM_ADDRESS": "ops@example.com",
            "MB_EMAIL_SMTP_HOST": "smtp.example.com",
            "MB_EMAIL_SMTP_PORT": "587",
            "MB_EMAIL_SMTP_SECURITY": "starttls",
            "MB_EMAIL_SMTP_USERNAME": "relay",
        },
        "n8n": {
            "N8N_EMAIL_MODE": "smtp",
            "N8N_SMTP_HOST": "smtp.example.com",
            "N8N_SMTP_PORT": "587",
            "N8N_SMTP_SENDER": "ops@example.com",
            "N8N_SMTP_SSL": "false",
            "N8N_SMTP_STARTTLS": "true",
            "N8N_SMTP_USER": "relay",
        },
        "odoo": {
            "MAIL_FROM": "ops@example.com",
            "MAIL_HOST": "smtp.example.com",
            "MAIL_PORT": "587",
            "MAIL_SECURITY": "starttls",
            "MAIL_USER": "relay",
        },
    }


@pytest.mark.parametrize(
    ("mail", "words"),
    [
        ({"security": "tls"}, ("465", "false", "true", "ssl", "true", "false")),
        ({"security": "none", "host": "10.0.0.5"}, ("25", "false", "false", "none", "false", "false")),
    ],
)
def test_what_is_not_starttls_is_told_as_each_takes_it(mail: dict[str, str], words: tuple[str, ...]) -> None:
    found = services(**mail)
    chatwoot, metabase, n8n = (
        found[name].containers[0].environment for name in ("chatwoot", "metabase", "n8n")
    )
    assert words == (
        chatwoot["SMTP_PORT"],
        chatwoot["SMTP_ENABLE_STARTTLS_AUTO"],
        chatwoot["SMTP_TLS"],
        metabase["MB_EMAIL_SMTP_SECURITY"],
        n8n["N8N_SMTP_SSL"],
        n8n["N8N_SMTP_STARTTLS"],
    )


def test_the_one_password_has_four_names() -> None:
    found = load(stack(mail=RELAY))
    assert given(found) == (("mail", "PASSWORD"),)
    names = {item.name: [each.name for each in item.secrets if each.kind == "given"] for item in found}
    assert {name: secrets for name, secrets in names.items() if secrets} == {
        "chatwoot": ["SMTP_PASSWORD"],
        "n8n": ["N8N_SMTP_PASS"],
        "odoo": ["MAIL_PASSWORD"],
        "metabase": ["MB_EMAIL_SMTP_PASSWORD"],
    }


def test_a_server_without_a_login_needs_none() -> None:
    found = services(user="", host="10.0.0.5", security="none")
    assert given(found.values()) == ()
    names = {name for item in found.values() for name in told(item) if "USER" in name or "AUTH" in name}
    assert names == {"MAIL_USER"}


def test_who_can_send_says_what_is_missed_without() -> None:
    assert [item.name for item in load(stack()) if item.mails] == ["chatwoot", "n8n", "odoo", "metabase"]

"""What a mail server's refusal means: each with what to do."""

import json
import subprocess
import sys

import pytest

from tasks.clients.mail import Outcome, problem, remarks
from tests.samples import ROOT, stack

MAIL = stack(mail={"host": "smtp.example.com", "user": "relay", "from": "ops@example.com"}).mail


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome("", "OK", 250), ""),
        (
            Outcome("name", "[Errno -2] Name or service not known"),
            "mail.host: nobody knows smtp.example.com ([Errno -2] Name or service not known): look for a misspelling",
        ),
        (
            Outcome("connect", "timed out", kind="TimeoutError"),
            (
                "mail: nothing answers at smtp.example.com:587 (timed out): see mail.host and mail.port; where they are "
                "right, this host's provider may block that port (most block 25, some 465 and 587 until they are asked): "
                "ask there, or take another port of the server's"
            ),
        ),
        (
            Outcome("connect", "5.7.1 blocked", 554),
            "mail: smtp.example.com:587 turns this host away: 554 5.7.1 blocked",
        ),
        (
            Outcome("certificate", "self-signed certificate"),
            (
                "mail.host: the certificate at smtp.example.com:587 is not good for that name (self-signed certificate): "
                "name the server as its certificate does; it has to come from an authority that everybody trusts"
            ),
        ),
        (
            Outcome("connect", "no STARTTLS", kind="SMTPNotSupportedError"),
            "mail.security: smtp.example.com:587 offers no STARTTLS: 'tls' (port 465) may be what it speaks",
        ),
        (
            Outcome("connect", "wrong version number", kind="SSLError"),
            (
                "mail.security: smtp.example.com:587 does not speak 'starttls' (wrong version number): "
                "465 is for 'tls', 587 for 'starttls'"
            ),
        ),
        (
            Outcome("login", "no AUTH", kind="SMTPNotSupportedError"),
            (
                "mail.user: smtp.example.com:587 offers no login that we know (no AUTH): "
                "leave user out, or take its other port"
            ),
        ),
        (
            Outcome("login", "5.7.8 bad\x1b[2J", 535),
            (
                "mail.user: smtp.example.com:587 refuses the login 'relay': 535 5.7.8 bad\\x1b[2J. `make give-secrets` "
                "writes another password, and the next deploy brings it to the services"
            ),
        ),
        (
            Outcome("sender", "5.7.0 Authentication required", 530),
            "mail.user: smtp.example.com:587 takes mails only after a login: 530 5.7.0 Authentication required",
        ),
        (
            Outcome("sender", "not yours", 553),
            (
                "mail.from: smtp.example.com:587 takes no mail from ops@example.com: 553 not yours. "
                "Use an address that it knows as yours"
            ),
        ),
        (
            Outcome("recipient", "no such user", 550),
            "mail: smtp.example.com:587 does not take it for that recipient: 550 no such user",
        ),
        (Outcome("data", "spam", 554), "mail: smtp.example.com:587 refuses the message: 554 spam"),
        (
            Outcome("of a later release", "x", 1),
            "mail: smtp.example.com:587 refuses the message: 1 x",
        ),
    ],
)
def test_each_refusal_says_what_to_do(outcome: Outcome, said: str) -> None:
    assert MAIL is not None
    assert problem(MAIL, outcome) == said


def test_a_server_without_the_usual_login_needs_an_override_for_chatwoot() -> None:
    assert MAIL is not None
    assert remarks(MAIL, Outcome("", "OK", 250, auth="LOGIN PLAIN")) == []
    assert remarks(MAIL, Outcome("", "OK", 250, auth="LOGIN XOAUTH2")) == [
        (
            "smtp.example.com offers the logins LOGIN XOAUTH2, not PLAIN: Chatwoot needs overrides = "
            '{"chatwoot": {"environment": {"SMTP_AUTHENTICATION": "login"}}}'
        )
    ]


def test_the_program_says_which_step_failed_in_one_line() -> None:
    told = {
        "host": "127.0.0.1", "port": 1, "security": "none", "user": "", "password": "hunter2",
        "from": "a@example.com", "to": "b@example.com", "subject": "s", "text": "t",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", (ROOT / "files" / "send_mail.py").read_text()],
        input=json.dumps(told) + "\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    mark, _, answer = done.stdout.partition(" ")
    assert (mark, json.loads(answer)["failed"], json.loads(answer)["kind"]) == (
        "smarteros-mail",
        "connect",
        "ConnectionRefusedError",
    )

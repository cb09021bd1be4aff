"""Sends one mail as the services do; run by Python in a container on their network, with nothing but what it brings.

Standard input is one line of JSON: the server, the login, the mail. Standard output is one line of JSON: which step failed
and what was answered, or what the server took it with. Nothing of it is the password.
"""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import sys
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

SECONDS = 20


def connected(mail: dict) -> smtplib.SMTP:
    """A session in which the certificate was checked, where there is one."""
    name = mail["from"].rpartition("@")[2]
    if mail["security"] == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(mail["host"], mail["port"], name, timeout=SECONDS, context=context)
    server = smtplib.SMTP(mail["host"], mail["port"], name, timeout=SECONDS)
    if mail["security"] == "starttls":
        server.ehlo()
        if not server.has_extn("starttls"):
            raise smtplib.SMTPNotSupportedError("no STARTTLS")
        server.starttls(context=ssl.create_default_context())
    return server


def message(mail: dict) -> EmailMessage:
    """What the recipient reads."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = mail["from"], mail["to"], mail["subject"]
    made["Date"], made["Message-ID"] = formatdate(), make_msgid(domain=mail["from"].rpartition("@")[2])
    made.set_content(mail["text"])
    return made


def sent(mail: dict) -> dict:
    """Step by step, so that what fails is known by its step."""
    step, offers = ["connect"], ""
    try:
        server = connected(mail)
        server.ehlo()
        offers = server.esmtp_features.get("auth", "").strip()
        code, answer = delivered(server, mail, step)
    except ssl.SSLCertVerificationError as error:
        return {"failed": "certificate", "said": error.verify_message, "auth": offers}
    except smtplib.SMTPResponseException as error:
        return {"failed": step[-1], "code": error.smtp_code, "said": text(error.smtp_error), "auth": offers}
    except socket.gaierror as error:
        return {"failed": "name", "said": str(error), "auth": offers}
    except (OSError, ValueError, smtplib.SMTPException) as error:
        return {"failed": step[-1], "kind": type(error).__name__, "said": str(error), "auth": offers}
    return {"failed": "", "code": code, "said": text(answer), "auth": offers}


def delivered(server: smtplib.SMTP, mail: dict, step: list) -> tuple:
    """What the server answers to the message; the step that it is at is noted."""
    if mail["user"]:
        step.append("login")
        server.login(mail["user"], mail["password"])
    step.append("sender")
    taken(*server.mail(mail["from"]))
    step.append("recipient")
    taken(*server.rcpt(mail["to"]))
    step.append("data")
    code, answer = taken(*server.data(message(mail).as_bytes()))
    server.quit()
    return code, answer


def taken(code: int, answer: bytes) -> tuple:
    """The answer, when it is a yes."""
    if code >= 300:
        raise smtplib.SMTPResponseException(code, answer)
    return code, answer


def text(answer: bytes | str) -> str:
    """A server's words."""
    return answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)


if __name__ == "__main__":
    sys.stdout.write("smarteros-mail " + json.dumps(sent(json.loads(sys.stdin.readline()))) + "\n")

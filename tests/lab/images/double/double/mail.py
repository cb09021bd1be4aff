"""Mail as the doubled programs send it: by their own variables, with the certificate checked, and errors in the log."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage

from double.contract import BOOLEAN, NUMBER, Environment, Rule

ADDRESS = r"([^<>@]+<)?[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+>?"
CHATWOOT = (
    Rule("SMTP_PORT", NUMBER, "a number", required=False),
    Rule("SMTP_AUTHENTICATION", r"plain|login|cram_md5|xoauth2", "plain, login, cram_md5 or xoauth2", required=False),
    Rule("SMTP_ENABLE_STARTTLS_AUTO", BOOLEAN, "true or false", required=False),
    Rule("SMTP_TLS", BOOLEAN, "true or false", required=False),
    Rule("SMTP_SSL", BOOLEAN, "true or false", required=False),
    Rule("SMTP_OPENSSL_VERIFY_MODE", r"none|peer|client_once|fail_if_no_peer_cert", "OpenSSL's none or peer", required=False),
    Rule("MAILER_SENDER_EMAIL", ADDRESS, "an address", required=False),
)  # fmt: skip
METABASE = (
    Rule("MB_EMAIL_SMTP_PORT", NUMBER, "a number", required=False),
    Rule("MB_EMAIL_SMTP_SECURITY", r"tls|ssl|starttls|none", "tls, ssl, starttls or none", required=False),
    Rule("MB_EMAIL_FROM_ADDRESS", ADDRESS, "an address", required=False),
)
_TRUE = ("true", "1", "yes")


class Unsent(Exception):
    """The program's own error."""


@dataclass(frozen=True)
class Server:
    """Where it sends. tls: from the first byte. starttls: no, when offered, or not without. mechanism: how it logs in."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    tls: bool = False
    starttls: str = "no"
    mechanism: str = ""

    def send(self, to: str, subject: str, text: str) -> None:
        """One mail, or Unsent."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, to, subject
        message.set_content(text)
        context = ssl.create_default_context()
        try:
            with (
                smtplib.SMTP_SSL(self.host, self.port, context=context, timeout=20)
                if self.tls
                else smtplib.SMTP(self.host, self.port, timeout=20) as server
            ):
                server.ehlo()
                if self.starttls == "required" or (self.starttls == "auto" and server.has_extn("starttls")):
                    server.starttls(context=context)
                    server.ehlo()
                self._log_in(server)
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise Unsent(f"{type(error).__name__}: {error}") from None

    def _log_in(self, server: smtplib.SMTP) -> None:
        """With the one mechanism that it is told, where it is told one."""
        if not self.user:
            return
        if self.mechanism:
            server.esmtp_features["auth"] = " ".join(
                {self.mechanism.upper()} & set(server.esmtp_features.get("auth", "").split())
            )
        server.login(self.user, self.password)


def of_chatwoot(environment: Environment) -> Server:
    """Without SMTP_ADDRESS it is sendmail's to send, which the image has not."""
    if not environment.get("SMTP_ADDRESS"):
        raise Unsent(
            "Errno::ECONNREFUSED: sendmail: can't connect to remote host (127.0.0.1): Connection refused"
        )
    mechanism = environment.get("SMTP_AUTHENTICATION", "").replace("_", "-")
    if mechanism and not (environment.get("SMTP_USERNAME") and environment.get("SMTP_PASSWORD")):
        raise Unsent("ArgumentError: SMTP-AUTH requested but missing user name or secret phrase")
    tls = any(environment.get(name, "") in _TRUE for name in ("SMTP_TLS", "SMTP_SSL"))
    return Server(
        environment["SMTP_ADDRESS"],
        int(environment.get("SMTP_PORT") or 587),
        environment.get("MAILER_SENDER_EMAIL") or "Chatwoot <accounts@chatwoot.com>",
        environment.get("SMTP_USERNAME", "") if mechanism else "",
        environment.get("SMTP_PASSWORD", ""),
        tls=tls,
        starttls="auto"
        if environment.get("SMTP_ENABLE_STARTTLS_AUTO", "true") in _TRUE and not tls
        else "no",
        mechanism=mechanism,
    )


def of_metabase(environment: Environment) -> Server:
    """Its host is what makes mail configured."""
    if not environment.get("MB_EMAIL_SMTP_HOST"):
        raise Unsent("SMTP host is not set.")
    security = environment.get("MB_EMAIL_SMTP_SECURITY") or "none"
    return Server(
        environment["MB_EMAIL_SMTP_HOST"],
        int(environment.get("MB_EMAIL_SMTP_PORT") or 25),
        environment.get("MB_EMAIL_FROM_ADDRESS") or "notifications@metabase.com",
        environment.get("MB_EMAIL_SMTP_USERNAME", ""),
        environment.get("MB_EMAIL_SMTP_PASSWORD", ""),
        tls=security == "ssl",
        starttls="required" if security in ("starttls", "tls") else "no",
    )

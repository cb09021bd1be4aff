"""Mails of who has logged in, from addresses of its own domain only, into the Maildir /mails."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import Any

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

NAME, USER, PASSWORD = (os.environ[name] for name in ("NAME", "USER", "PASSWORD"))
STARTTLS, TLS = 587, 465


class Submission(Mailbox):
    """What a provider refuses is refused: another's address as the sender."""

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """For aiosmtpd: the answer to MAIL FROM."""
        if address.rpartition("@")[2].lower() != USER.rpartition("@")[2]:
            return f"553 5.7.1 <{address}>: Sender address rejected: not owned by user {USER}"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"


def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
    """One login there is."""
    good = isinstance(given, LoginPassword) and (given.login, given.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=good, handled=False)


def session(context: ssl.SSLContext | None) -> SMTP:
    """One connection: with a context it begins in the clear, and takes no login and no mail before STARTTLS."""
    return SMTP(
        Submission("/mails"),
        hostname=NAME,
        ident="lab",
        tls_context=context,
        require_starttls=context is not None,
        auth_required=True,
        auth_require_tls=context is not None,
        authenticator=login,
    )


async def main() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("/etc/smtp/server.crt", "/etc/smtp/server.key")
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: session(None), port=TLS, ssl=context)
    await loop.create_server(lambda: session(context), port=STARTTLS)
    await asyncio.Event().wait()


asyncio.run(main())

"""The setting ``mail``: what its fields may hold, and how they contradict one another."""

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Annotated, Any

from pydantic import AfterValidator

from tasks.model.domain_types import DOMAIN, bare
from tasks.model.setting_types import matching
from tasks.model.words import meant

# https://www.rfc-editor.org/rfc/rfc8314#section-3.3 for 465 and 587; 25 is between servers, and what a relay of one's
# own network listens on.
PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None


def _host(text: str) -> str:
    found = _address(text)
    if text == "localhost" or (found and (found.is_loopback or found.is_unspecified)):
        raise ValueError(f"{text!r} is each service's own container: name the server as containers reach it")
    if found or DOMAIN.fullmatch(text):
        return text
    raise ValueError(f"{text!r} {meant('is no name of a server (like smtp.example.com)', bare(text))}")


MailHost = Annotated[str, AfterValidator(_host)]
Login = Annotated[
    str, matching(re.compile(r"([!-~]([ -~]*[!-~])?)?"), "is no login (like ops@example.com; empty: none)")
]


def unsendable(mail: Any) -> Iterable[str]:
    """Contradictions within the setting; must hold on data of any type."""
    given: Mapping[Any, Any] = mail if isinstance(mail, dict) else {}
    security, port, host = given.get("security", "starttls"), given.get("port"), given.get("host")
    for other, number in (("tls", 465), ("starttls", 587)):
        if port == number and security in tuple(PORTS) and security != other:
            yield f"mail.port: {number} is spoken to with security {other!r}, and security is {security!r}"
    if security == "none" and isinstance(host, str):
        found = _address(host)
        if not (found and found.is_private):
            yield (
                "mail.security: 'none' sends mails and the password readable to whoever is on the way: "
                "only to a host that is a private address (like 10.0.0.5)"
            )

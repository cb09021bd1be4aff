"""Mail: where services get the relay's password from; the relay itself is the setting ``mail``."""

from collections.abc import Iterable, Iterator

from tasks.model.catalogue import Secret, Service
from tasks.model.stack import Stack

# One password for all services, at a path of its own in Vault.
PATH, NAME = "mail", "PASSWORD"


def password(stack: Stack, variable: str) -> tuple[Secret, ...]:
    """The service's secret of that name, where there is a login."""
    there = stack.mail is not None and stack.mail.user != ""
    return (Secret(variable, kind="given", of=f"{PATH}#{NAME}"),) if there else ()


def unsent(chosen: Iterable[Service], stack: Stack) -> Iterator[str]:
    """Said once: what the services' users miss without a server for mails."""
    silent = [service.title for service in chosen if service.mails]
    if silent and stack.mail is None:
        yield f"mail: not set, so {', '.join(silent)} send no invitation and no password reset (README, Mail)"

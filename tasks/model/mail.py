"""Mail: where services get the relay's password from; the relay itself is the setting ``mail``."""

from tasks.model.catalogue import Secret
from tasks.model.stack import Stack

# One password for all services, at a path of its own in Vault.
PATH, NAME = "mail", "PASSWORD"


def password(stack: Stack, variable: str) -> tuple[Secret, ...]:
    """The service's secret of that name, where there is a login."""
    there = stack.mail is not None and stack.mail.user != ""
    return (Secret(variable, kind="given", of=f"{PATH}#{NAME}"),) if there else ()

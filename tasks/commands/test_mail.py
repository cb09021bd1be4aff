"""Test mail: sends one message by the settings, on the services' route, and says what the server answered.

``TO=you@example.com pyinfra -y inventories/prod.py tasks.commands.test_mail.run``
"""

import os
from collections.abc import Iterator
from contextlib import suppress

from pydantic import TypeAdapter, ValidationError
from pyinfra import logger

from tasks import secrets
from tasks.clients import mail as client
from tasks.clients.vault_values import lost, to_be_given, values
from tasks.connection import grouped
from tasks.facts import DockerFact
from tasks.model.catalogue import Container, Service
from tasks.model.domain_types import Email
from tasks.model.given import given
from tasks.model.mail import NAME, PATH
from tasks.model.stack import Mail
from tasks.model.targets import target
from tasks.rendering.render import image
from tasks.rendering.templates import HOME
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack

# Services whose images have Python, the smaller one first.
_PYTHON = ("vault-auth-validator", "odoo")


def run() -> None:
    """The command ``make test-mail``."""
    if grouped.elsewhere():
        return
    sent(name="Test mail | one message, as the services send theirs")


@operation
def sent() -> Commands:
    """Fails the host with what to do when the server does not take it."""
    if not executing():
        return
    yield from ()
    to = _recipient(os.environ.get("TO", ""))
    outcome = delivered(to)
    for line in client.remarks(_mail(), outcome):
        host().log_styled(line, fg="yellow", log_func=logger.warning)
    host().log(f"mail to {to}: {_mail().host}:{_mail().at} took it: {outcome.code} {outcome.said}")


def delivered(to: str) -> client.Outcome:
    """The message is with the server; it goes to the sender where it is for nobody. Raises Refused with what to do."""
    if missing := lost():
        raise Refused(to_be_given(missing))
    password = values(PATH)[NAME] if _mail().user else ""
    program = (HOME / "files" / "send_mail.py").read_text("utf-8")
    outcome = client.send(image(_with_python()), program, _mail(), password, to or _mail().sender)
    if problem := client.problem(_mail(), outcome):
        raise Refused(problem)
    if waiting := list(untold()):
        line = (
            f"mail: this is what the next deploy gives {', '.join(waiting)}: other secrets are in Vault than those that they "
            f"were started with ({target('deploy')})"
        )
        host().log_styled(line, fg="yellow", log_func=logger.warning)
    return outcome


def untold() -> Iterator[str]:
    """The services that send with the password, and have other secrets than Vault; or none yet."""
    found = known(DockerFact).containers
    for service in services():
        if (PATH, NAME) in given([service]):
            there = found.get(service.main.name)
            if there is None or there.secrets_digest != _digest(service):
                yield service.title


def _digest(service: Service) -> str:
    """Of what Vault holds; empty where the next deploy makes some of it first."""
    with suppress(LookupError):
        return secrets.digest(service)
    return ""


def _mail() -> Mail:
    found = stack().mail
    if found is None:
        raise Refused("mail: not set, so the services send none (README, Mail)")
    return found


def _recipient(to: str) -> str:
    try:
        return TypeAdapter(Email).validate_python(to)
    except ValidationError:
        raise Refused(f"TO: {to!r} is no e-mail address: {target('test-mail TO=you@example.com')}") from None


def _with_python() -> Container:
    for name in _PYTHON:
        for service in services():
            if service.name == name:
                return service.main
    raise Refused(f"mail: it is sent from an image with Python: {' or '.join(_PYTHON)} has to be in services")

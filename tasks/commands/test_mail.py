"""Test mail: sends one message by the settings, on the services' route, and says what the server answered.

``TO=you@example.com pyinfra -y inventories/prod.py tasks.commands.test_mail.run``
"""

import os

from pydantic import TypeAdapter, ValidationError
from pyinfra import logger

from tasks.clients import mail as client
from tasks.clients.vault_values import lost, to_be_given, values
from tasks.model.catalogue import Container
from tasks.model.domain_types import Email
from tasks.model.mail import NAME, PATH
from tasks.model.stack import Mail
from tasks.model.targets import target
from tasks.rendering.render import image
from tasks.rendering.templates import HOME
from tasks.run import Commands, Refused, executing, host, operation, services, stack

# Services whose images have Python, the smaller one first.
_PYTHON = ("vault-auth-validator", "odoo")


def run() -> None:
    """The command ``make test-mail``."""
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
    program = (HOME / "files" / "send_mail.py").read_text()
    outcome = client.send(image(_with_python()), program, _mail(), password, to or _mail().sender)
    if problem := client.problem(_mail(), outcome):
        raise Refused(problem)
    return outcome


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

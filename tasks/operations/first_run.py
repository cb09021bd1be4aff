"""First run: a service that would give itself to its first visitor has an admin before its domain answers."""

from collections.abc import Iterable

from pyinfra.api import StringCommand

from tasks.facts import FirstRunFact
from tasks.facts.first_run import UNKNOWN
from tasks.model.catalogue import Service
from tasks.run import Commands, Refused, executing, known, operation, services


@operation
def configured(service: Service) -> Commands:
    """The service's own script makes its first admin; nothing once there is one, whoever that is by now."""
    found = known(FirstRunFact, questions(services()))
    if f"{UNKNOWN}{service.name}" in found and executing():
        raise Refused(
            f"whether {service.name} has an admin is not known: its database does not answer, see `docker logs postgres`"
        )
    if service.name not in found:
        yield StringCommand(f"/root/{service.name}-smarter-config.sh apply")


def questions(chosen: Iterable[Service]) -> tuple[tuple[str, str, str], ...]:
    """What FirstRunFact asks of the services that have an admin: name, database, SQL."""
    return tuple((item.name, item.databases[0].name, item.admin.owned) for item in chosen if item.admin)

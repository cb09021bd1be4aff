"""First run: a service that would give itself to its first visitor has an admin before its domain answers."""

from pyinfra.api import StringCommand

from tasks.model.catalogue import Service
from tasks.operations import postgres
from tasks.run import Commands, Refused, executing, operation


@operation
def configured(service: Service) -> Commands:
    """The service's own script makes its first admin; nothing once there is one, whoever that is by now."""
    found = postgres.state()
    if executing() and service.databases[0].name not in found.asked:
        raise Refused(
            f"whether {service.name} has an admin is not known: its database does not answer, see `docker logs postgres`"
        )
    if service.name not in found.owned:
        yield StringCommand(f"/root/{service.name}-smarter-config.sh apply")

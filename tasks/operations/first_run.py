"""First run: a service that would give itself to its first visitor has an admin before its domain answers."""

from pyinfra.api import StringCommand

from tasks.model.catalogue import Service
from tasks.operations import postgres
from tasks.run import Commands, Refused, executing, host, operation

_WHOSE = (
    "docker exec postgres psql -U postgres -xc "
    "\"SELECT pid, state, xact_start, query FROM pg_stat_activity WHERE xact_start < now() - interval '1 minute'\""
)


@operation
def configured(service: Service) -> Commands:
    """The service's own script makes its first admin; nothing once there is one, whoever that is by now."""
    found = postgres.state()
    name = service.databases[0].name
    there = (found.server.get("databases") or {}).get(name)
    if name not in found.asked and (executing() or (there and not there["shut"])):
        raise Refused(
            f"whether {service.name} has an admin is not known: its database {name} on {host().name} does not answer in time. Somebody's open "
            f"transaction may lock it ({_WHOSE} says whose); else see `docker logs postgres`"
        )
    if service.name not in found.owned:
        yield StringCommand(f"/root/{service.name}-smarter-config.sh apply")

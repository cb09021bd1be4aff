"""Origins: the pages that Dokploy's owners may sign in from are all of its domains'.

There is no other way in than SQL. Before it checks a sign-in, Dokploy puts its owners' lists in the place of what
BETTER_AUTH_TRUSTED_ORIGINS says (packages/server/src/lib/auth.ts), and its API changes those for licensees only.
"""

from collections.abc import Iterable

from pyinfra.api import StringCommand

from tasks.facts import DokployFact
from tasks.model.catalogue import Service, domains
from tasks.run import Commands, host, known, operation, stack


@operation
def trusted(service: Service) -> Commands:
    """Adds what is missing; nothing where Dokploy does not run yet."""
    state = known(DokployFact)
    missing = [origin for origin in _wanted(service) if origin not in state.origins]
    if not state.address or not missing:
        return
    for origin in missing:
        host().log(f"{origin}: nobody can sign in from there")
    psql = "docker exec -i postgres psql -qX -v ON_ERROR_STOP=1 -U postgres -d dokploy"
    yield StringCommand(psql, _stdin=_statement(missing))


def _wanted(service: Service) -> tuple[str, ...]:
    """All but the first, which BETTER_AUTH_URL names."""
    return tuple(f"https://{domain}" for domain in domains(stack(), service.routes[0])[1:])


def _statement(origins: Iterable[str]) -> str:
    """What else is listed stays: that is how a licensee's single sign-on works."""
    quoted = ", ".join(f"'{origin}'" for origin in origins)
    return f"""
UPDATE "user" SET "trustedOrigins" = coalesce("trustedOrigins", '{{}}') || ARRAY[{quoted}]::text[]
WHERE id IN (SELECT user_id FROM member WHERE role = 'owner');
""".lstrip()  # noqa: S608  domains have a form of their own (tasks/model/domain_types.py)

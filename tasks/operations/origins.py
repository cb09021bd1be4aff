"""Origins: the pages that Dokploy's owners may sign in from are all of its domains', and its links lead to the first.

There is no other way in than SQL. Before it checks a sign-in, Dokploy puts its owners' lists in the place of what
BETTER_AUTH_TRUSTED_ORIGINS says (packages/server/src/lib/auth.ts), and its API changes those for licensees only.
"""

from collections.abc import Iterable

from pyinfra.api import StringCommand

from tasks.facts.dokploy import OFFERED
from tasks.model.catalogue import Service, domains
from tasks.operations.postgres import registered
from tasks.rendering import psql
from tasks.run import Commands, host, operation, stack

_PSQL = psql.told("dokploy")
_END = "\n\\q\n"


@operation
def trusted(service: Service) -> Commands:
    """Adds what is missing; nothing where Dokploy does not run yet."""
    state = registered()
    missing = [origin for origin in _wanted(service) if origin not in state.origins]
    if not state.address or not missing:
        return
    for origin in missing:
        host().log(f"{origin}: nobody can sign in from there")
    yield StringCommand(_PSQL, _stdin=_statement(missing) + _END)


@operation
def addressed(service: Service) -> Commands:
    """Links in invitations and notifications lead to http://<IP address>:3000 where no domain is set, which nobody reaches
    (packages/server/src/services/admin.ts, getDokployUrl). One that a person has set stays. Its API would write a file of
    Traefik's as well.
    """
    state = registered()
    domain = domains(stack(), service.routes[0])[0]
    if not state.address or state.host in (None, domain) or state.host not in ("", state.offered):
        return
    host().log(f"{domain}: its links lead to {state.host or 'its IP address'}")
    yield StringCommand(_PSQL, _stdin=_moved(domain) + _END)


def _moved(domain: str) -> str:
    return f"""
BEGIN;
UPDATE "webServerSettings" SET host = '{domain}', https = true;
ALTER DATABASE dokploy SET {OFFERED} = '{domain}';
COMMIT;
""".lstrip()  # noqa: S608  domains have a form of their own (tasks/model/domain_types.py)


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

"""Postgres: one question to it for all who ask it, so that a run asks once between two changes."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from tasks.facts import DockerFact, PostgresFact, PostgresState, dokploy
from tasks.facts.dokploy import DokployState
from tasks.facts.shut import Shut
from tasks.model.catalogue import Service
from tasks.model.shapes import Misshapen
from tasks.run import Refused, known, services


def question() -> tuple[Any, ...]:
    """The fact, and what is asked of the services that there are."""
    chosen = services()
    extended = tuple(each.name for item in chosen for each in item.databases if each.extensions)
    owned = tuple((item.name, item.databases[0].name, item.admin.owned) for item in chosen if item.admin)
    registered = next((item.databases[0].name for item in chosen if item.name == "dokploy"), "")
    return PostgresFact, extended, owned, registered


def state() -> PostgresState:
    """What Postgres says. Raises Refused where that cannot be read."""
    found: PostgresState = known(*question())
    return found


def refusals() -> list[str]:
    """What keeps a run from telling it anything. That it cannot be asked is said elsewhere."""
    with suppress(Refused):
        there = known(DockerFact).containers.get("postgres")
        if there and there.status == "running":
            return [*wrong(state().shut, services())]
    return []


def wrong(shut: Shut, chosen: Iterable[Service]) -> Iterator[str]:
    """What somebody has shut, with what opens it again. Pure."""
    if shut.closed:
        yield f"Postgres: its own psql cannot log in ({shut.closed}){_LET_IN if _RULES.search(shut.closed) else '; see `docker logs postgres`'}"
    if shut.standby:
        yield (
            f"Postgres: takes no writes{_ALL}: it is a standby (pg_is_in_recovery). Where it is to be the one that counts, "
            f"{_told('SELECT pg_promote()')} has it take them"
        )
    ours = {each.name for item in chosen for each in item.databases}
    for role, database in shut.readonly:
        # What another role may read, and no more, is somebody's choice.
        if role in ("", *ours) and database in ("", "postgres", *ours):
            yield _readonly(role, database)


def _readonly(role: str, database: str) -> str:
    named = (f"the role {role}" if role else "", f"the database {database}" if database else "")
    whose = " of ".join(filter(None, named))
    from_whom, since = (f" for {whose}", ", for who connects from then on") if whose else (_ALL, "")
    undoes = _told(*_reset(role, database))
    return f"Postgres: takes no writes{from_whom}: default_transaction_read_only is on: {undoes} undoes that{since}"


def _reset(role: str, database: str) -> tuple[str, ...]:
    name = "RESET default_transaction_read_only"
    if role:
        within = f' IN DATABASE "{database}"' if database else ""
        return (f'ALTER ROLE "{role}"{within} {name}',)
    if database:
        return (f'ALTER DATABASE "{database}" {name}',)
    return f"ALTER SYSTEM {name}", "SELECT pg_reload_conf()"


def _told(*statements: str) -> str:
    words = " ".join(f"-c '{each}'" for each in statements)
    return (
        f"`docker exec -e PGOPTIONS='-c default_transaction_read_only=off' postgres psql -U postgres {words}`"
    )


_ALL = ", neither from us nor from a service"
_RULES = re.compile(r"pg_hba\.conf|fe_sendauth|authentication failed")
_LET_IN = (
    ": the first line of its pg_hba.conf that begins with `local` has to be `local all all trust`, and only its own container comes that way: "
    "`docker exec postgres sh -c 'sed -i \"1i local all all trust\" $PGDATA/pg_hba.conf'`, then `docker kill --signal HUP postgres`"
)


def registered() -> DokployState:
    """What Dokploy has, and where it listens. Raises Refused where that cannot be read."""
    said = state().dokploy
    container = known(DockerFact).containers.get("dokploy") if said else None
    try:
        return dokploy.read(container.address if container else "", said)
    except Misshapen as error:
        raise Refused(f"cannot read what Dokploy's database says: {error}") from None

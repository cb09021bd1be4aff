"""Postgres: one question to it for all who ask it, so that a run asks once between two changes."""

from typing import Any

from tasks.facts import DockerFact, PostgresFact, PostgresState, dokploy
from tasks.facts.dokploy import DokployState
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


def registered() -> DokployState:
    """What Dokploy has, and where it listens. Raises Refused where that cannot be read."""
    said = state().dokploy
    container = known(DockerFact).containers.get("dokploy") if said else None
    try:
        return dokploy.read(container.address if container else "", said)
    except Misshapen as error:
        raise Refused(f"cannot read what Dokploy's database says: {error}") from None

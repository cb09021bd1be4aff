"""Jobs: what one has done is noted where it did it, as a setting of its service's database, which no session reads.

So a finished container may be removed, as everything that clears up does, and the job runs again only when what it is
made of has changed. The note is gone with the database, and does not count once a volume of the job's is gone.
"""

from collections.abc import Collection, Mapping
from shlex import quote

from tasks.facts import DockerFact
from tasks.facts.postgres import noted_as
from tasks.model.catalogue import Container, Service
from tasks.operations import postgres
from tasks.run import known


def note(container: Container, digest: str, secrets: str) -> str:
    """What says of a job that it has been done: all that it was made from."""
    return f"{digest} {secrets if container.env_file else '-'}"


def done(service: Service, digests: Mapping[str, str], secrets: str) -> frozenset[str]:
    """Jobs whose containers are gone and need not come back."""
    state = known(DockerFact)
    gone = [item for item in service.containers if item.job and item.name not in state.containers]
    if not gone or not service.databases:
        return frozenset()
    found = postgres.state().server.get("databases") or {}
    notes = found.get(service.databases[0].name, {}).get("done") or {}
    return frozenset(
        item.name
        for item in gone
        if notes.get(noted_as(item.name)) == note(item, digests[item.name], secrets)
        and whole(item, state.volumes)
    )


def whole(container: Container, volumes: Collection[str]) -> bool:
    """Whether all that the job may have written to beside the database is still there."""
    return all(volume.name in volumes for volume in container.volumes)


def noting(service: Service, container: Container, text: str) -> str:
    """Shell (psql.TOLD), once the job has ended well; nothing for a service without a database."""
    if not service.databases:
        return ""
    statement = f"ALTER DATABASE \"{service.databases[0].name}\" SET {noted_as(container.name)} = '{text}'"
    return f"told postgres -c {quote(statement)}"


__all__ = ["done", "note", "noted_as", "noting", "whole"]

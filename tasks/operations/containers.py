"""Containers: what runs is compared with what should run, by digest."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from shlex import quote
from types import MappingProxyType

from pyinfra.api import QuoteString, StringCommand

from tasks.connection.drafts import note
from tasks.facts import ContainerState, DockerFact, DockerState, LoadedCaddyfileFact, MachineFact
from tasks.facts.proxy import UNKNOWN
from tasks.model.catalogue import Container, Service
from tasks.model.effects import WAITED, Effect, Lost, Start
from tasks.model.objects import replacement, second
from tasks.operations import adoption, differing, door, images, jobs, mirrored, rolling
from tasks.operations.differing import DESCRIBED, FILES, NETWORKS, NEVER, SECRETS
from tasks.operations.role import apart
from tasks.operations.rollout import Replaced, replaced, start_script
from tasks.rendering import render
from tasks.run import Commands, Refused, executing, host, known, operation, services


@operation
def start(
    service: Service,
    digests: Mapping[str, str],
    files: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    coming: Callable[[], str] = str,
    role: Callable[[], str] = str,
) -> Commands:
    """Brings the service's containers to their described state and waits until all are healthy.

    digests: container → digest of all it is made from. files: container → the files it has to see. coming: in a plan, the
    digest of its secrets by then. role: what psql is told of its database's role, asked where its secrets have changed. Every
    change's reason is shown. One that is not healthy in its time fails the host, with its last 50 log lines; what ran before is
    back then.
    """
    state = known(DockerFact)
    secrets = _secrets(service, state, coming)
    reasons = _reasons(service, state, digests, secrets, files)
    anew = any(reason.startswith(_RECREATED) for reason in reasons.values())
    if not anew:
        yield from _limited(service, state, reasons)
    if not reasons:
        return
    for name, reason in reasons.items():
        host().log(f"{name}: {reason}")
    due = [item for item in service.containers if item.job and item.name in reasons]
    todo = [(item, jobs.noting(service, item, jobs.note(item, digests[item.name], secrets))) for item in due]
    proxy = next((item.main.name for item in services() if item.phase == "proxy"), "")
    old = replaced(service, state.containers, digests, secrets, proxy)
    late = {reasons[item.name] for item in due} == {SECRETS} and bool(old.hidden)
    old = replace(old, late=late, moved=adoption.making_room(service), carried=adoption.carried(service))
    starts = list(_starts(service, state, reasons, anew=anew, held=bool(old.holds)))
    old = replace(old, measured=_away(service, starts))
    if old.holds and (old.secrets == secrets or _alone(service, behind=late or not due)):
        old, starts = _stood_in(service, state, old, starts)
    others = mirrored.others(service) if old.holds else ()
    old = replace(old, mirrored=bool(others))
    note(*starts)
    statement = role() if executing() and stale(service, coming) else ""
    script = start_script(service, host().name, todo, recreate=anew, old=replace(old, role=bool(statement)))
    if paused := _paused(state, reasons):
        yield StringCommand(f"docker unpause {' '.join(paused)}")
    with mirrored.marks(old.proxy, others):
        yield StringCommand(script, _stdin=statement) if statement else StringCommand(script)


def _stood_in(
    service: Service, state: DockerState, old: Replaced, starts: list[Effect]
) -> tuple[Replaced, list[Effect]]:
    """The same where a second one stands in, and there is memory for it."""
    if not (old.measured and rolling.possible(service, state.containers)):
        return old, starts
    missing = rolling.short(service, known(MachineFact).available_mb)
    if missing and executing():
        host().log(f"{service.name}: visitors are held: {missing}")
    return replace(old, rolls=not missing), [rolling.noticed(service, item, missing) for item in starts]


def _limited(service: Service, state: DockerState, reasons: Mapping[str, str]) -> Commands:
    """Gives those that stay the limits that Compose gave them, which costs nobody anything."""
    for container in service.containers:
        if container.job or reasons.get(container.name) in (DESCRIBED, SECRETS):
            continue
        if words := differing.limited(container, state.containers.get(container.name)):
            said = f"{container.name}: its limits are put back ({words})"
            if executing():
                host().log(said)
            else:
                note(said)
            yield StringCommand("docker update", *map(QuoteString, differing.limit(container)), ">/dev/null")


def stale(service: Service, coming: Callable[[], str]) -> bool:
    """Whether one of its containers has other secrets than it should, so that ``start`` makes it anew."""
    state = known(DockerFact)
    secrets = _secrets(service, state, coming)
    told = [state.containers.get(item.name) for item in service.containers if item.env_file and not item.job]
    return any(item and item.secrets_digest != secrets for item in told)


def _secrets(service: Service, state: DockerState, coming: Callable[[], str]) -> str:
    """The digest that its containers have to show."""
    return coming() or state.env_digests.get(service.name, "")


def _reasons(
    service: Service,
    state: DockerState,
    digests: Mapping[str, str],
    secrets: str,
    files: Mapping[str, Mapping[str, str]],
) -> dict[str, str]:
    """Container → why something has to be done about it."""
    done = jobs.done(service, digests, secrets)
    found = {
        item.name: differing.difference(
            item, state.containers.get(item.name), digests[item.name], secrets, files.get(item.name, {})
        )
        for item in service.containers
        if item.name not in done
    }
    return {name: said for name, reason in found.items() if (said := _left(state, name, reason))}


def _left(state: DockerState, name: str, reason: str) -> str:
    """The reason, or what a run that was cut short has left in the container's place or beside it."""
    if reason and name not in state.containers and replacement(name) in state.containers:
        return f"its replacement {replacement(name)} is not in its place yet"
    if not reason and second(name) in state.containers:
        return f"{second(name)} still stands in for it: it goes"
    return reason


def _away(service: Service, starts: Iterable[Effect]) -> bool:
    """Whether one that others reach is made anew: visitors, or those that need the service."""
    reached = rolling.routed(service) or [item.name for item in service.containers if not item.job]
    return any(
        isinstance(item, Start) and item.how == "made anew" and item.container in reached for item in starts
    )


def _alone(service: Service, *, behind: bool) -> bool:
    """Whether no database and no Redis may refuse it with the secrets of before, so that it serves on. behind: no job of it has to have the
    new ones before it starts: a second one can have a role of its own then.
    """
    return not service.redis and (not service.databases or (behind and apart(service)))


def _paused(state: DockerState, names: Collection[str]) -> list[str]:
    """Compose cannot start a container that somebody has paused."""
    return [name for name, item in state.containers.items() if name in names and item.status == "paused"]


# What Compose does not see, so that it has to be told to make the containers anew.
_RECREATED = (NETWORKS, FILES, NEVER)
# Seconds, for what takes tenths of one.
_LOADED = 20


def _starts(
    service: Service, state: DockerState, reasons: Mapping[str, str], *, anew: bool, held: bool
) -> Iterator[Effect]:
    """What becomes of each container. Where one sees other networks or files, Compose makes all of its service anew."""
    for container in service.containers:
        own = state.containers.get(container.name)
        there = own or state.containers.get(replacement(container.name))
        reason = reasons.get(container.name, "")
        if not reason and (container.job or not anew):
            continue
        why = reason or "with the others of its service"
        how = "run" if container.job else _how(why, there, anew=anew or own is not there)
        before, image = images.programs(container, state)
        away = there is None or there.status != "running"
        yield Start(service.name, container.name, how, why, held, image, before, away=away)
        if container.writable and own and how == "made anew":
            yield Lost(
                f"{container.name}: what was written into its own file system, beside its volumes ({container.writable})"
            )


def _how(why: str, there: ContainerState | None, *, anew: bool) -> str:
    if there is None:
        return "made"
    if anew or why in (DESCRIBED, SECRETS):
        return "made anew"
    return WAITED if there.status == "running" else "started"


@operation
def caddyfile(container: Container, text: str) -> Commands:
    """Caddy has loaded this Caddyfile; else it is validated and loaded, without a restart. One that starts loads what it sees by itself."""
    loaded = known(LoadedCaddyfileFact, container.name)
    if loaded == UNKNOWN and executing():
        raise Refused(
            f"{container.name} runs no command: see `docker logs {container.name}` for what it has loaded"
        )
    if loaded != render.caddyfile_digest(text) and not _loads(container, text):
        path = f"{render.CURRENT}/caddy/Caddyfile"
        caddy = f"docker exec -i {quote(container.name)} caddy"
        source = f"--config - --adapter caddyfile < {quote(path)}"
        yield StringCommand(
            f"{caddy} validate {source} || exit\ntrap {quote(door.OPEN)} EXIT\n{door.shut(_LOADED)}\n{caddy} reload --force {source}"
        )


def _loads(container: Container, text: str) -> bool:
    """Whether it is just starting with this Caddyfile, so that it has loaded it when it is healthy."""
    there = known(DockerFact).containers.get(container.name)
    if there is None or there.health != "starting":
        return False
    return there.files.get(f"{container.files['caddy']}/Caddyfile") == sha256(text.encode()).hexdigest()

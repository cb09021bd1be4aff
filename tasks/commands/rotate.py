"""Rotate: new passwords for one service, or for all: in Vault, in Postgres and Redis, in the containers, and the first admins' in the
applications; and the old ones are proven refused. ``SERVICE=n8n pyinfra -y inventories/prod.py tasks.commands.rotate.run``, or SERVICE=all.

Each service's containers are made anew as in a deploy, its visitors are held meanwhile, and others notice nothing. One that was cut short is
run again: it gives new values once more, and every password of before that Vault still has is tried at the end.
"""

import base64
import os
from collections.abc import Iterator, Sequence
from functools import partial
from shlex import quote

from pyinfra.api import StringCommand

from tasks import (
    applications,
    backup,
    data,
    first_logins,
    lock,
    preflight,
    proxy,
    record,
    secrets,
    vault,
    verify,
)
from tasks.clients.vault_past import older
from tasks.clients.vault_values import versioned, write, writing
from tasks.commands import rotate_admins, rotate_vault
from tasks.commands.chosen import chosen
from tasks.commands.restore import as_described
from tasks.connection import grouped
from tasks.connection.said import Said, once
from tasks.facts import DockerFact
from tasks.model.catalogue import Service
from tasks.model.made import generated
from tasks.model.rotation import Place, Way, places
from tasks.model.targets import target
from tasks.operations import lasting, role
from tasks.run import Commands, Refused, executing, host, known, operation, services, step, together

CHOICE = "SMARTEROS_SERVICE"
ALL = "all"
# What a deploy brings to everybody who needs it, and what the application is told.
_BROUGHT: tuple[Way, ...] = ("deploy", "signs", "owner", "first")


def run() -> None:
    """The command ``make rotate``. What a deploy would refuse it refuses, too, and each host before anything is done on any."""
    if grouped.elsewhere():
        return
    choice, found = os.environ.get(CHOICE, ""), list[Service]()
    try:
        if choice == rotate_vault.NAME:
            rotate_vault.possible()
        else:
            found = [*named(choice)]
    except Refused as error:
        raise Said(str(error)) from None
    try:
        as_described()
    except Refused as error:
        raise Said(once(host().name, str(error))) from None
    lock.run()
    preflight.run()
    vault.run()
    if choice == rotate_vault.NAME:
        rotate_vault.run()
    else:
        _all_of(found)
    record.run(rotation=True)


def _all_of(found: Sequence[Service]) -> None:
    title = "all services" if len(found) > 1 else found[0].title
    renewed(found, name=f"Rotate | new values for {title} are written into Vault")
    secrets.run()
    data.run()
    applications.run()
    proxy.run()
    verify.run()
    backup.copied()
    refused(found, name=f"Rotate | what opened {title} before is refused")
    rotate_admins.changed(found, name=f"Rotate | first admins have their new passwords: {title}")
    first_logins.renewed(found, name="Rotate | first logins that nobody has read yet have the new passwords")


def named(choice: str) -> Sequence[Service]:
    """The services whose secrets are changed. Raises Refused."""
    if choice == "ssh":
        raise Refused(
            f"SERVICE=ssh: people's keys are their own, and login_keys names them: add the new one there, {target('deploy')}, log in by it, "
            "then take the old one out and deploy again, which proves it refused"
        )
    there = [item for item in services() if any(brought(item))]
    if not choice:
        names = ", ".join(item.name for item in there)
        raise Refused(f"say whose secrets are changed, as SERVICE=n8n or SERVICE={ALL}: there are {names}")
    return there if choice == ALL else [chosen(choice, there, "has secrets that a run can change")]


def brought(service: Service) -> Iterator[Place]:
    """The secrets that get new values."""
    return (place for place in _own(service) if place.way in _BROUGHT)


def _own(service: Service) -> Iterator[Place]:
    for place in places([service]).values():
        if place.secret and place.secret.kind != "given":
            yield place


@operation
def renewed(found: Sequence[Service]) -> Commands:
    """One write for each service, of which the other secrets stay."""
    if not executing():
        writing()
        yield "true"
        return
    as_described()
    yield from _ready(found)
    doors = rotate_admins.doors(found)
    for service, (present, version) in zip(
        found, together(*(partial(versioned, item.name) for item in found)), strict=True
    ):
        stays = {place: _stays(place, doors.get(service.name)) for place in _own(service)}
        new = [place for place in brought(service) if not stays[place]]
        if back := rotate_admins.back(service, present, doors.get(service.name)):
            yield step(partial(write, service.name, back, version))
        gone = {name for place in new for name in (place.name, *place.made)}
        kept = {name: value for name, value in present.items() if name not in gone}
        host().log(f"{service.title}: new are {', '.join(place.name for place in new)}")
        for place, why in stays.items():
            if why:
                host().log(f"{service.title}: {place} stays: {why}")
        wanted = secrets.wanted()[service.name]
        kept |= lasting.of_before(service.name, wanted, present)
        full = {**kept, **generated(wanted, kept)}
        yield step(partial(write, service.name, full, version + bool(back)))


def _ready(found: Sequence[Service]) -> Commands:
    """What Postgres could not be told now is not in Vault either. One that is just starting is waited for later."""
    roles = [user for service in found for kind, user, *_ in _doors(service) if kind == "role"]
    there = known(DockerFact).containers.get("postgres")
    if roles and there and (there.status, there.health) == ("running", "healthy"):
        yield role.tried(
            roles,
            "no secret has a new value, since Postgres cannot be told new passwords now (see the lines above); run this again once it can",
        )


def _stays(place: Place, door: rotate_admins.Door | None) -> str:
    if place.lost:
        return f"it would cost {place.lost}"
    if place.way != "first":
        return ""
    # One whose file says no way is told by a person.
    todo = f"it is changed in the application; then {target(f'give-secrets NAME={place}')} tells Vault"
    return door.stays if door else todo


@operation
def refused(found: Sequence[Service]) -> Commands:
    """Each earlier password of Postgres and Redis that Vault still has is tried there; fails where one still opens something."""
    if not executing():
        yield "true"
        return
    doors = [(service, door) for service in found for door in _doors(service)]
    before = dict(
        zip(
            (item.name for item in found),
            together(*(partial(older, item.name) for item in found)),
            strict=True,
        )
    )
    lines = [
        f"{kind} {user} {where} {base64.b64encode(value.encode()).decode()}"
        for service, (kind, user, where, secret) in doors
        for value in before[service.name].get(secret, ())
    ]
    if lines:
        yield StringCommand(f"sh -c {quote(_TRIED)}", _stdin="\n".join(lines))
    host().log(f"earlier passwords tried at Postgres and Redis: {len(lines)}; none of them opens anything")


def _doors(service: Service) -> Iterator[tuple[str, str, str, str]]:
    """What a password of it opens: ``role`` or ``user``, whose, the database, and the secret's name."""
    if service.name == "postgres":
        yield "role", data.SUPERUSER, "postgres", "POSTGRES_PASSWORD"
    if service.name == "redis":
        yield "user", "default", "-", "REDIS_PASSWORD"
    for database in service.databases:
        yield "role", database.name, database.name, database.secret
    if service.redis:
        yield "user", service.redis.name, "-", service.redis.secret


# Lines of "kind user database value", the value in base64, so that none is on a command line.
_TRIED = """
opened=0
while read -r kind user where value; do
    if [ "$kind" = role ]; then
        said=$(echo "$value" | base64 -d | docker exec -i postgres sh -c 'PGPASSWORD=$(cat) psql -h postgres -U "$1" -d "$2" -qAtc "SELECT 1"' sh "$user" "$where" 2>&1)
    else
        said=$(echo "$value" | base64 -d | docker exec -i redis sh -c 'REDISCLI_AUTH=$(cat) redis-cli --user "$1" ping' sh "$user" 2>&1)
    fi
    case $said in
    *'password authentication failed'* | *WRONGPASS*) ;;
    1 | PONG | *NOPERM*) echo "an earlier password of $kind $user still opens it" >&2; opened=1 ;;
    *) echo "whether an earlier password of $kind $user still opens it is not known: $said" >&2; opened=1 ;;
    esac
done
exit $opened
""".strip()

"""Rollback: files, images and settings of an earlier generation, by the deploy's own phases, and so by its own gate and its way back.

``TO=7 pyinfra inventories/prod.py tasks.commands.rollback.run``; without TO the one before. The files that are on the host count,
not what this package would make of the settings; images are there, or it is refused. Secrets are Vault's, as they are now, and the
host's own settings (SSH, firewall, packages, swap) those of this machine. With DATA=yes the databases of the services whose tables
are others since come back as well, as they were before.
"""

import os
import runpy
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from shlex import quote

from pyinfra import logger
from pyinfra.api import StringCommand

from tasks import generation, hooks, lock, plan, preflight, secrets, vault
from tasks.commands import recorded, restore
from tasks.connection.said import Said, once
from tasks.facts.generations import GenerationsFact
from tasks.model import image_names
from tasks.model.catalogue import Service
from tasks.model.generations import (
    PREVIOUS,
    Generation,
    Generations,
    NoSuch,
    chosen,
    differences,
    moved,
)
from tasks.model.stack import BadSettings
from tasks.model.targets import target
from tasks.operations import restoring
from tasks.rendering.templates import HOME
from tasks.run import (
    Commands,
    Refused,
    executing,
    host,
    known,
    operation,
    remember,
    services,
    stack,
)


def run() -> None:
    """The command ``make rollback``."""
    stack()  # bad settings are said before all
    try:
        found = remember("generations", lambda: known(GenerationsFact))
        item = remember("to", lambda: chosen(found, os.environ.get("TO") or PREVIOUS))
        recorded.become(found, item)
        points = restored(found, item) if data_too() else []
    except (Refused, NoSuch, BadSettings) as error:
        raise Said(once(host().name, f"{host().name} cannot be rolled back: {error}")) from None
    for line in told(found, item):
        host().log_styled(line, fg="yellow", log_func=logger.warning)
    lock.run()
    plan.run()
    hooks.run()
    ready(found, item, name=f"Rollback | to generation {item.number}: nobody has deployed in between")
    if points:
        data_first(points)
    runpy.run_path(str(HOME / "deploy.py"))


def data_too() -> bool:
    """Raises Refused for another word than yes."""
    given = os.environ.get("DATA", "")
    if given not in ("", "yes"):
        raise Refused(f"DATA={given}: DATA=yes restores databases, and without it none is touched")
    return bool(given)


def told(found: Generations, item: Generation) -> Iterator[str]:
    """What it means, before anything is done."""
    made = datetime.fromtimestamp(item.time, UTC).strftime("%Y-%m-%d %H:%M UTC")
    yield f"back to generation {item.number}, by {item.operator}, {made}; cut short, {target(f'rollback TO={item.number}')} ends it"
    newest = found.all[-1]
    for line in differences(newest, item) if newest != item else ():
        yield f"    {line}"
    yield (
        f"your settings stay as they are: the next {target('deploy')} with them rolls forward again. Secrets are Vault's, as they are now; "
        "SSH, firewall, packages and swap stay as well"
    )
    if others := moved(item, found.schemas):
        what = (
            "come back as they were then"
            if data_too()
            else "stay, and its programs may not take them: DATA=yes restores them"
        )
        yield f"tables have changed since in {', '.join(others)}; they {what}"


def restored(found: Generations, item: Generation) -> list[tuple[Service, datetime]]:
    """Each service and to when its data go back: just before the next generation's images came. Raises Refused."""
    databases = set(moved(item, found.schemas))
    with_data = [each for each in services() if databases & {one.name for one in each.databases}]
    if not with_data:
        return []
    if stack().backup is None:
        raise Refused("DATA=yes: nothing is backed up (the setting backup), so no data come back")
    later = [each for each in found.all if each.number > item.number]
    point = next((each.point for each in later if each.point), 0)
    if not point:
        raise Refused(
            f"DATA=yes: no restore point was made after generation {item.number}: {target('restore')} brings a service back to a time "
            "that you choose"
        )
    return [(each, datetime.fromtimestamp(point, UTC)) for each in with_data]


def data_first(points: Sequence[tuple[Service, datetime]]) -> None:
    """A program of then starts on its data of then, or not at all."""
    preflight.run()
    generation.run()
    vault.run()
    secrets.run()
    for service, time in points:
        restore.restored(
            service, time, name=f"Rollback | {service.title}'s data as of {restoring.written(time)}"
        )
        restore.back(service)


@operation
def ready(found: Generations, item: Generation) -> Commands:
    """What was read before the lock still holds; tags lead to the images that they led to then."""
    if executing() and known(GenerationsFact).all != found.all:
        raise Refused(f"{host().name} was deployed to in between: look again, {target('generations')}")
    now = known(GenerationsFact).tags
    astray = {
        name: number
        for name, number in item.images.items()
        if not image_names.parted(name)[2] and now.get(name) != number
    }
    if astray:
        yield StringCommand(
            "\n".join(
                ["set -e", *(f"docker tag {quote(number)} {quote(name)}" for name, number in astray.items())]
            )
        )

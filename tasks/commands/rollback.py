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

from tasks import hooks, lock, plan
from tasks.commands import recorded, rollback_data
from tasks.commands.rollback_data import Behind
from tasks.connection import grouped
from tasks.connection.said import Said, once
from tasks.facts.generations import GenerationsFact
from tasks.model import image_names
from tasks.model.effects import Step
from tasks.model.generations import (
    PREVIOUS,
    Generation,
    Generations,
    NoSuch,
    chosen,
    differences,
)
from tasks.model.stack import BadSettings
from tasks.model.targets import target
from tasks.rendering.templates import HOME
from tasks.run import (
    Commands,
    Refused,
    executing,
    host,
    known,
    operation,
    remember,
    stack,
)


def run() -> None:
    """The command ``make rollback``."""
    stack()  # bad settings are said before all
    if grouped.cluster():
        raise Said(
            "a cluster's nodes have each generations of their own, which do not go back together: deploy the settings of before, out of version control"
        )
    try:
        found = remember("generations", lambda: known(GenerationsFact))
        item = remember("to", lambda: chosen(found, os.environ.get("TO") or PREVIOUS))
        recorded.become(found, item)
        behind = rollback_data.behind(found, item)
        first = remember(plan.FIRST, lambda: _data_first(behind, item))
    except (Refused, NoSuch, BadSettings) as error:
        raise Said(once(host().name, f"{host().name} cannot be rolled back: {error}")) from None
    for line in told(found, item, behind):
        host().log_styled(line, fg="yellow", log_func=logger.warning)
    lock.run()
    plan.run()
    hooks.run()
    ready(found, item, name=f"Rollback | to generation {item.number}: nobody has deployed in between")
    if first:
        rollback_data.first([(each.service, each.point) for each in behind if each.point])
    runpy.run_path(str(HOME / "deploy.py"))


def _data_first(behind: Sequence[Behind], item: Generation) -> tuple[Step, ...]:
    """What a plan has to show of it. Raises Refused where it cannot be done."""
    if not data_too():
        return ()
    rollback_data.refused(behind, item)
    return tuple(rollback_data.steps(behind))


def data_too() -> bool:
    """Raises Refused for another word than yes."""
    given = os.environ.get("DATA", "")
    if given not in ("", "yes"):
        raise Refused(f"DATA={given}: DATA=yes restores databases, and without it none is touched")
    return bool(given)


def told(found: Generations, item: Generation, behind: Sequence[Behind]) -> Iterator[str]:
    """What it means, before anything is done."""
    made = datetime.fromtimestamp(item.time, UTC).strftime("%Y-%m-%d %H:%M UTC")
    again = target(f"rollback TO={item.number}{' DATA=yes' if data_too() else ''}")
    yield f"back to generation {item.number}, by {item.operator}, {made}; cut short, {again} ends it"
    if item.failed:
        yield f"the {item.failed} went back from generation {item.number}: it had failed there"
    newest = found.all[-1]
    for line in differences(newest, item) if newest != item else ():
        yield f"    {line}"
    yield (
        f"your settings stay as they are: the next {target('deploy')} with them rolls forward again. Secrets are Vault's, as they are now; "
        "SSH, firewall, packages and swap stay as well"
    )
    yield from rollback_data.told(behind, item, data=data_too())


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

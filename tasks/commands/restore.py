"""Restore: one service as it was at a time; all others run on, and what is replaced is kept for a week.

``SERVICE=odoo TO="2026-11-26 19:59:49Z" pyinfra -y inventories/prod.py tasks.commands.restore.run``. It is made ready beside
what runs; then the service's visitors wait for as long as it takes to change names and to start. The same command again
brings one that was cut short to its end. KEEP_FILES=1 leaves the files as they are.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from shlex import quote

from pyinfra.api import StringCommand

from tasks import data, lock, verify
from tasks.commands.chosen import chosen
from tasks.connection import grouped
from tasks.connection.said import Said
from tasks.facts.restorable import (
    DRILL,
    SCRIPT,
    ArchivedDatabasesFact,
    GenerationFact,
    ReportFact,
    Restorable,
    RestorableFact,
)
from tasks.model.catalogue import Service
from tasks.model.targets import target
from tasks.model.volume import Volume
from tasks.model.words import ago
from tasks.operations import containers, described, reporting, restoring, rolled
from tasks.operations.described import digests, mounted, tree
from tasks.rendering import restore_files
from tasks.run import Commands, Refused, executing, host, known, operation, services, stack
from tasks.secrets import coming
from tasks.services import backup

CHOICE = "SMARTEROS_RESTORE"
UNIT = "smarteros-restore"


def run() -> None:
    """The command ``make restore``."""
    if grouped.elsewhere():
        return
    try:
        service, time = named(os.environ.get(CHOICE, "")), restoring.moment(os.environ.get("TO", ""))
    except Refused as error:
        raise Said(str(error)) from None
    lock.run(deploy=False)
    restored(service, time, name=f"Restore | {service.title} as it was at {restoring.written(time)}")
    back(service)


def back(service: Service, *, undone: bool = False) -> None:
    """It runs on what has come into its place, answers, and what was found is said."""
    title = service.title
    asked = (partial(coming, service), partial(data.password, service))
    start = partial(containers.start, service, digests(service), mounted(service), *asked)
    start(name=f"Restore | {title} starts on it")
    verify.verified(name="Restore | every service answers by name over TLS")
    ended(service, undone=undone, name=f"Restore | {title} is back")


def named(choice: str) -> Service:
    """The service that SERVICE names. Raises Refused for one that does not come back alone."""
    if stack().backup is None:
        raise Refused("nothing is backed up: the setting backup names a bucket (README, Backups)")
    there = {item.name for item in restore_files.restorable(stack(), services())}
    found = [item for item in services() if item.name in there and item.phase != "proxy"]
    if not choice:
        raise Refused(
            f"say which service it is, as SERVICE=odoo: there are {', '.join(item.name for item in found)}"
        )
    return chosen(choice, found, "is restored by itself")


@operation
def restored(service: Service, time: datetime) -> Commands:
    """Checked before anything is changed; then all of it on the host, in a unit of its own that outlives the connection."""
    if not executing():
        yield "true"
        return
    as_described()
    found = restorable(service)
    choice = source(service, time, found)
    if text := copied(choice, time):
        host().log(f"{service.name}: {text}")
    words: Sequence[str] = ()
    if choice.label:
        there = known(ArchivedDatabasesFact, choice.label)
        words = restoring.included(service, there, services(), found.databases)
    settings = {"TARGET": restoring.written(time), "UNTIL": f"{time.timestamp():.6f}", "LABEL": choice.label}
    settings |= {"BEFORE": choice.before, "AFTER": choice.after, "KEEP_FILES": "1" if _files_stay() else ""}
    yield StringCommand(script(service, words, settings))


def restorable(service: Service) -> Restorable:
    """What there is to bring it back from. Raises Refused."""
    return known(
        RestorableFact, service.name, tuple(item.name for item in service.databases), volumes(service)
    )


def source(service: Service, time: datetime, found: Restorable) -> restoring.Choice:
    """What is taken of it for that time; none where a restore to then has begun. Raises Refused for what cannot be done."""
    if not found.here:
        raise Refused(f"{host().name} has nothing to restore with: {target('deploy')} brings it")
    if found.unfinished and found.unfinished != restoring.written(time):
        raise Refused(
            f"a restore of {service.name} to {found.unfinished} was cut short: end that first: "
            + target(f"restore SERVICE={service.name} TO='{found.unfinished}'")
        )
    if found.unfinished:
        return restoring.Choice()
    choice = restoring.chosen(service, time, found)
    restoring.room(found, files=not _files_stay())
    return choice


def copied(choice: restoring.Choice, time: datetime) -> str:
    """Of when its files are; empty where none come."""
    if not choice.copied or _files_stay():
        return ""
    age = ago(int(time.timestamp() - choice.copied))
    return f"its files come from the copy of {restoring.said(choice.copied)}, {age} before that time"


def _files_stay() -> bool:
    return bool(os.environ.get("KEEP_FILES"))


def as_described() -> None:
    """What starts afterwards is what stands on the host. Raises Refused where this machine describes another."""
    if known(GenerationFact) != described.name(tree()):
        raise Refused(rolled.otherwise())


def volumes(service: Service) -> tuple[str, ...]:
    """Those that a restore of it replaces."""
    found = backup.sources(stack()).get(service.name, ())
    return tuple(item.name for item in found if isinstance(item, Volume))


def script(service: Service, words: Sequence[str], settings: dict[str, str] | None = None) -> str:
    """Shell: what an earlier run has left at work there is ended, and then it is done, at the end of the queue of all that runs."""
    given = " ".join(f"--setenv={quote(f'{key}={value}')}" for key, value in (settings or {}).items())
    limits = "--property=Nice=10 --property=CPUWeight=20 --property=IOWeight=20 --property=RuntimeMaxSec=12h"
    # However it ends, nothing that only stood while it ran is left; a drill that is at work keeps its own.
    end = quote(
        f"--property=ExecStopPost=-/usr/bin/flock --nonblock /run/smarteros-backup/restore /bin/bash {DRILL} end"
    )
    cut = quote(
        f"{service.name}: this was cut short, and it may be down: the same command goes on where it was"
    )
    # What was cut short by the other of the two is not ended by this one, and says so itself.
    begun = "_before_" if "--undo" in words else "_new"
    return (
        f"systemctl stop {UNIT}.service 2>/dev/null; systemctl reset-failed {UNIT}.service 2>/dev/null\n"
        f"systemd-run --quiet --wait --collect --pipe --unit={UNIT} {limits} {end} {given} "
        f"/bin/bash {SCRIPT} {' '.join(map(quote, (service.name, *words)))} </dev/null && exit\n"
        f"code=$?; ! grep -qs '^from {begun}' {backup.RESTORED}/{service.name}.journal || echo {cut} >&2; exit $code"
    )


@operation
def ended(service: Service, *, undone: bool = False) -> Commands:
    """Says what came back and what did not, and that nothing is left to be ended."""
    if not executing():
        yield "true"
        return
    reporting.told(service.name, known(ReportFact, service.name))
    yield StringCommand(f"bash {SCRIPT} {quote(service.name)} --end")
    other = "it is as before the last restore; what that had brought" if undone else "what was there before"
    host().log(
        f"{service.name}: {other} is kept for 7 days: {target(f'restore-undo SERVICE={service.name}')} brings it back"
    )

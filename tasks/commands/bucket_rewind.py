"""Bucket rewind: the bucket as it was at a time, after somebody has deleted or damaged what is in it.

``KIT=~/smarteros-kit.json TO="2026-11-26 19:59:49Z" pyinfra -y inventories/prod.py tasks.commands.bucket_rewind.run``. The host's own
key is enough, since nothing is destroyed. A host that has backups makes none meanwhile, and then all of Postgres' files anew: what it has sent since is gone.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from pyinfra.api import StringCommand

from tasks.clients import recovery
from tasks.clients.lazily import lazily
from tasks.commands.bucket import of_that_bucket, setting, there
from tasks.model.targets import target
from tasks.operations.restoring import moment, said, written
from tasks.rendering import backup_files
from tasks.rendering.render import CURRENT
from tasks.run import Commands, Refused, host, operation, remember, stack, step

if TYPE_CHECKING:
    from tasks.clients import bucket, bucket_rewind
else:
    bucket, bucket_rewind = lazily("tasks.clients.bucket"), lazily("tasks.clients.bucket_rewind")

_SAID_EVERY = 500


def run() -> None:
    """The command ``make bucket-rewind``."""
    stack()  # wrong settings are said before anything is asked of anybody
    rewound(name="Bucket | as it was then")


@operation
def rewound() -> Commands:
    """Three steps on a host that runs: it stops sending, the bucket goes back, all is sent anew, the sealed state as well. What is wrong
    with what it was told, and what it will do, is said before that.
    """
    there = remember("rewind", chosen)
    units = [part.unit for part in backup_files.parts(stack())]
    timers, works = (" ".join(f"{unit}.{kind}" for unit in units) for kind in ("timer", "service"))
    # A host that is bare has none of them.
    state = backup_files.STATE
    yield StringCommand(
        f"[ ! -e {CURRENT}/backup ] || {{ systemctl stop {timers} {works} && mkdir -p {state} && date +%s >{state}/.rewinding; }}"
    )
    wrong: list[Refused] = []
    yield step(partial(put_back, *there, wrong))
    # Whatever came of it, the host makes backups again.
    yield StringCommand(
        f"[ ! -e {CURRENT}/backup ] || {{ rm -f {state}/full {state}/*.since\n"
        # What looks like new was there by that time (backup/log.sh), and what a deploy has stored since is not (recovery.digest).
        f'echo "$(cat {state}/.rewinding) $(date +%s) {there[1].timestamp():.0f}" >>{state}/rewound; sync {state}/rewound\nsystemctl start {timers}; }}'
    )
    yield step(partial(_ended, wrong))
    yield StringCommand(f"[ ! -e {CURRENT}/backup ] || systemctl start smarteros-backup-postgres.service")
    yield step(_sealed)


def chosen() -> tuple[bucket.Bucket, datetime]:
    """Which bucket, and which time of it. Raises Refused where one of both cannot be."""
    time = moment(os.environ.get("TO", ""))
    (path, kit), place = there(), setting()
    of_that_bucket(path, kit, place)
    store = bucket.Bucket(place, kit.access_key, kit.secret_key)
    if time > (now := datetime.now(UTC)):
        raise Refused(f"TO={said(time.timestamp())} has not come yet: it is {said(now.timestamp())}")
    if time < (first := bucket_rewind.first(store)):
        raise Refused(
            f"TO={said(time.timestamp())} is earlier than anything in {place.bucket}, which began at {said(first.timestamp())}"
        )
    host().log(f"backup: {_what(store, bucket_rewind.differences(store, time), time)}; nothing is destroyed")
    return store, time


def _what(store: bucket.Bucket, found: list[bucket_rewind.Difference], time: datetime) -> str:
    back = sum(bool(item.version) for item in found)
    return f"{store.place.bucket} at {written(time)}: {back} objects come back as they were, {len(found) - back} that were not there go"


def put_back(store: bucket.Bucket, time: datetime, wrong: list[Refused]) -> None:
    """All of it, from this machine alone. wrong: gets why it was cut short."""
    now = said(datetime.now(UTC).timestamp())
    try:
        _put_back(store, time)
    except Refused as error:
        wrong.append(error)
    else:
        host().log(
            f"backup: {store.place.bucket} is as it was; TO='{now}' brings it back to what it was before this"
        )


def _ended(wrong: list[Refused]) -> None:
    for error in wrong:
        raise Refused(f"{error}; cut short: {target('bucket-rewind')} with the same words goes on")


def _sealed() -> None:
    """What this machine alone knows is there as it is now, where this is the machine that knows it."""
    if recovery.noted().stored:
        recovery.put()
        host().log("backup: what this machine alone knows is in the bucket as it is now, sealed")
    else:
        host().log(
            f"backup: the sealed state is that of then: {target('deploy')} from the machine that deploys {host().name} stores it as it is now"
        )


def _put_back(store: bucket.Bucket, time: datetime) -> None:
    # Once more, with what the host has sent until it stopped.
    found = bucket_rewind.differences(store, time)

    def progress(done: int) -> None:
        if done % _SAID_EVERY == 0:
            host().log(f"backup: {done} of {len(found)} done")

    bucket_rewind.put_back(store, found, progress)

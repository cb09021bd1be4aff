"""Bucket rewind: the bucket as it was at a time, after somebody has deleted or damaged what is in it.

``KIT=~/smarteros-kit.json TO="2026-11-26 19:59:49Z" pyinfra -y inventories/prod.py tasks.commands.bucket_rewind.run``. The host's own
key is enough, since nothing is destroyed. A host that has backups makes none meanwhile, and then all of Postgres' files anew: what it has sent since is gone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyinfra.api import StringCommand

from tasks.clients import kit as kits
from tasks.clients.lazily import lazily
from tasks.commands.bucket import of_that_bucket, setting, where
from tasks.operations.restoring import moment, written
from tasks.rendering import backup_files
from tasks.rendering.render import CURRENT
from tasks.run import Commands, Refused, host, operation, stack, step

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
    """Three steps on a host that runs: it stops sending, the bucket goes back, all is sent anew."""
    units = [part.unit for part in backup_files.parts(stack())]
    timers, works = (" ".join(f"{unit}.{kind}" for unit in units) for kind in ("timer", "service"))
    # A host that is bare has none of them.
    yield StringCommand(f"[ ! -e {CURRENT}/backup ] || systemctl stop {timers} {works}")
    yield step(put_back)
    yield StringCommand(
        f"[ ! -e {CURRENT}/backup ] || {{ rm -f {backup_files.STATE}/full {backup_files.STATE}/*.since\n"
        f"systemctl start {timers} && systemctl start smarteros-backup-postgres.service; }}"
    )


def put_back() -> None:
    """All of it, from this machine alone. Raises Refused."""
    time = moment(os.environ.get("TO", ""))
    path, place = where(), setting()
    kit = kits.read(path)
    if kit is None:
        raise Refused(f"KIT={path} is not there")
    of_that_bucket(path, kit, place)
    store = bucket.Bucket(place, kit.access_key, kit.secret_key)
    found = bucket_rewind.differences(store, time)
    back = sum(bool(item.version) for item in found)
    what = f"{place.bucket} at {written(time)}: {back} objects come back as they were, {len(found) - back} that were not there go"
    host().log(f"backup: {what}")

    def said(done: int) -> None:
        if done % _SAID_EVERY == 0:
            host().log(f"backup: {done} of {len(found)} done")

    bucket_rewind.put_back(store, found, said)

"""The archive: which backups of Postgres a bucket has, and how large they are, read with the kit alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasks.clients import openings
from tasks.clients.lazily import lazily
from tasks.run import Refused

if TYPE_CHECKING:
    from tasks.clients import bucket
else:
    bucket = lazily("tasks.clients.bucket")


def size(store: bucket.Bucket, passphrase: str) -> int:
    """Bytes of all databases at the last backup; 0 where there is none. Raises Refused where it does not open, or cannot be read."""
    with bucket.foreseen(store.place, "reading the archive"):
        if openings.PGBACKREST_BACKUPS not in store.keys(openings.PGBACKREST_BACKUPS):
            return 0
        text = store.get(openings.PGBACKREST_BACKUPS)
    try:
        return _size(openings.pgbackrest(passphrase, text))
    except openings.Closed as error:
        raise Refused(f"backup: {error}: it was made with another kit, or is damaged") from None


def _size(text: str) -> int:
    """Of the lines of the section ``backup:current``, each a label and JSON."""
    found: list[tuple[float, int]] = []
    section = ""
    try:
        for line in text.splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            _, told, said = line.partition("=")
            if section == "backup:current" and told:
                item = json.loads(said)
                if not item.get("backup-error"):
                    found.append((float(item["backup-timestamp-stop"]), int(item["backup-info-size"])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"backup: what pgBackRest has noted of its backups cannot be read ({error})") from None
    return max(found, default=(0, 0))[1]

"""Backup files: the scripts that copy everything away, and the units and timers that start them. Pure, as all rendering is."""

from dataclasses import dataclass
from typing import Any

from tasks.model.catalogue import Volume
from tasks.model.stack import BACKUP_NET, DRILL_NET, Stack
from tasks.rendering import notify_files
from tasks.rendering.templates import FOLDER, jinja
from tasks.services import backup

SCRIPTS = "backup"
# On the host: what is noted of each part, and what the node exporter reads.
STATE, METRICS = "/var/lib/smarteros/backup", "/var/lib/smarteros/metrics"
_SUFFIX = ".j2"


@dataclass(frozen=True)
class Part:
    """One part of the backup. container: its one-off. limit: seconds that it may take. stale: seconds after which its last
    success is too old. needs: the service without which there is nothing to do.
    """

    name: str
    what: str
    often: str
    timer: tuple[str, ...]
    limit: int
    stale: int
    container: str = ""
    needs: str = ""

    @property
    def unit(self) -> str:
        """The name of its service and timer."""
        return f"smarteros-{'' if self.name in _OF_THEIR_OWN else 'backup-'}{self.name}"

    @property
    def title(self) -> str:
        """What it does, as a sentence begins."""
        return self.what[:1].upper() + self.what[1:]


# What no unit of theirs has to be told from another's by.
_OF_THEIR_OWN = ("heartbeat", "drill", "drill-full")
_HOUR, _DAY = 3600, 86400
_NIGHTLY = ("Persistent=yes", "RandomizedDelaySec=10min")
# What was missed would be made up for as soon as Docker is there, and fail: Vault is sealed by then, and Postgres reads its log.
_BOOTED = "OnBootSec=5min"
PARTS = (
    Part(
        "heartbeat",
        "Postgres' log leaves for the bucket",
        "every 30 s",
        ("OnCalendar=*:*:0/30", "AccuracySec=1s"),
        limit=60,
        stale=120,
        needs="postgres",
    ),
    Part(
        "files",
        "changed files are copied away",
        "every 45 s",
        ("OnActiveSec=10s", "OnBootSec=1min", "OnUnitActiveSec=45s", "AccuracySec=1s"),
        limit=4 * _HOUR,
        stale=600,
        container="backup-files",
    ),
    Part(
        "redis",
        "a file of all that Redis holds is copied away",
        "every 15 minutes",
        ("OnCalendar=*:0/15",),
        limit=_HOUR,
        stale=_HOUR,
        container="backup-redis",
        needs="redis",
    ),
    Part(
        "vault",
        "a snapshot of Vault is copied away",
        "hourly",
        ("OnCalendar=*:07", _BOOTED),
        limit=_HOUR,
        stale=3 * _HOUR,
        container="backup-vault",
        needs="vault",
    ),
    Part(
        "postgres",
        "Postgres' files are copied away",
        "every 6 hours",
        ("OnCalendar=0/6:20", _BOOTED),
        limit=12 * _HOUR,
        stale=13 * _HOUR,
        needs="postgres",
    ),
    Part(
        "dumps",
        "each database is dumped and copied away",
        "nightly",
        ("OnCalendar=02:40", *_NIGHTLY),
        limit=8 * _HOUR,
        stale=2 * _DAY,
        container="backup-dumps",
        needs="postgres",
    ),
    Part(
        "check",
        "old backups go, and those that stay are read",
        "nightly",
        ("OnCalendar=03:30", *_NIGHTLY),
        limit=12 * _HOUR,
        stale=2 * _DAY,
        container="backup-check",
    ),
)


def parts(stack: Stack) -> tuple[Part, ...]:
    """Those that there is something to do for; none without the setting."""
    if stack.backup is None:
        return ()
    return tuple(part for part in PARTS if part.needs in ("", *stack.services))


def files(stack: Stack, current: str, label: str, note: str) -> dict[str, str]:
    """Path in a generation → script. current: the path of the active one. label: of Docker's objects. note: of what is prepared."""
    if stack.backup is None:
        return {}
    chosen = {part.name for part in parts(stack)}
    names = {path.name.removesuffix(_SUFFIX) for path in (FOLDER / SCRIPTS).glob(f"*{_SUFFIX}")}
    wanted = {
        name for name in names if name.removesuffix(".sh") not in {part.name for part in PARTS} - chosen
    }
    words = {
        "current": current,
        "label": label,
        "note": note,
        "networks": f"{BACKUP_NET} {DRILL_NET}",
        **_sources(stack),
    }
    return {
        f"{SCRIPTS}/{name}": _render(f"{SCRIPTS}/{name}{_SUFFIX}", stack, **words) for name in sorted(wanted)
    }


def _sources(stack: Stack) -> dict[str, Any]:
    sources = backup.sources(stack)
    volumes = (item.name for items in sources.values() for item in items if isinstance(item, Volume))
    return {"sources": sources, "volumes": list(dict.fromkeys(volumes)), "place": backup.place}


def units(stack: Stack, current: str) -> dict[str, str]:
    """Name → text of each systemd unit."""
    chosen = parts(stack)
    found = {
        f"{part.unit}.{kind}": _render(
            f"units/backup.{kind}{_SUFFIX}", stack, part=part, current=current, state=STATE
        )
        for part in chosen
        for kind in ("service", "timer")
    }
    noted = (
        {FAILED: _render(f"units/backup-failed.service{_SUFFIX}", stack, current=current)} if chosen else {}
    )
    return found | noted


FAILED = "smarteros-backup-failed@.service"


def is_ours(unit: str) -> bool:
    """Whether a unit of that name is one of these, of this release."""
    return unit == FAILED or unit.rpartition(".")[0] in {part.unit for part in PARTS}


def _render(template: str, stack: Stack, **words: Any) -> str:
    chosen = parts(stack)
    words = {"state": STATE, "metrics": METRICS, "notify": notify_files.STATE, **words}
    names = {"parts": [part.name for part in chosen], "units": [f"{part.unit}.service" for part in chosen]}
    return jinja().get_template(template).render(stack=stack, **names, **words)

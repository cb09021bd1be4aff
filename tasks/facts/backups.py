"""Backups: how each part does, from what it has noted on the host; and what is in the bucket, read from there."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.spans import Span, spans
from tasks.rendering.backup_files import METRICS, STATE
from tasks.rendering.render import CURRENT
from tasks.services.backup import RESTORED


@dataclass(frozen=True)
class Progress:
    """How the parts do, in seconds since 1970. succeeded: part → its last success. until: what was written before it can be
    had from the bucket. verified: ``service part`` → the last restore of it that was proven. failed: part → its last words.
    prepared: when the bucket's repositories were found well; 0 where they were not. rpo: seconds that a loss would have cost in
    the last drill. cut: service → ``to TIME`` or ``undo`` of a restore that was cut short while it was swapped. stopped: units whose
    timers do not run.
    """

    succeeded: Mapping[str, float] = field(default_factory=dict)
    until: float = 0
    verified: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    prepared: float = 0
    rpo: float = 0
    cut: Mapping[str, str] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """One of restic's: of which service, whether it is a dump, of what, and when."""

    service: str
    dump: bool
    paths: tuple[str, ...]
    taken: float


@dataclass(frozen=True)
class Backups:
    """What is in the bucket. spans: of what databases come back to. wrong: what could not be read, and why."""

    clock: float = 0
    snapshots: tuple[Snapshot, ...] = ()
    spans: tuple[Span, ...] = ()
    progress: Progress = field(default_factory=Progress)
    wrong: tuple[str, ...] = ()


def _cut(further: str = "") -> str:
    """Shell: ``cut`` lines. A restore that is at work has not been cut short."""
    return f"""
for note in {RESTORED}/*.journal; do
    [ -f "$note" ] && ! systemctl is-active --quiet smarteros-restore.service{further} || continue
    name=${{note##*/}}
    grep -q '^from _before_' "$note" && echo "cut ${{name%.journal}} undo" || sed -n "s/^to /cut ${{name%.journal}} to /p" "$note"
done
""".strip()


UNFINISHED = _cut()
# Only those in whose middle nothing else may be made: databases and volumes are between two names.
HALF_RESTORED = _cut(' && ! grep -q ^swapped "$note"')
_TIMERS = "smarteros-backup-*.timer smarteros-heartbeat.timer smarteros-drill*.timer"
# Prints ``metric``, ``failed``, ``prepared``, ``stopped`` and ``cut`` lines.
PROGRESS = f"""
cat {METRICS}/*.prom 2>/dev/null | sed 's/^/metric /'
for note in {STATE}/failed/*; do [ ! -f "$note" ] || printf 'failed %s %s\\n' "${{note##*/}}" "$(cat "$note")"; done
stat -c 'prepared %Y' {STATE}/prepared 2>/dev/null
timers=$(cd /etc/systemd/system && ls {_TIMERS} 2>/dev/null)
[ -z "$timers" ] || systemctl show --property=Id,ActiveState $timers |
    awk -F = '$1 == "Id" {{id = $2}} $1 == "ActiveState" {{state = $2}} id && state {{if (state != "active") print "stopped " id; id = state = ""}}'
{UNFINISHED}
""".strip()

_METRIC = re.compile(r"smarteros_(\w+?)(?:\{([^}]*)\})? ([\d.]+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def progress(values: Mapping[str, Sequence[str]]) -> Progress:
    """The lines → Progress. What others write into the folder of metrics is theirs. Raises ValueError for no number."""
    found: dict[str, dict[str, float]] = {}
    for line in values.get("metric", ()):
        if match := _METRIC.fullmatch(line):
            labels = dict(_LABEL.findall(match[2] or ""))
            key = " ".join(labels[name] for name in ("service", "part") if name in labels)
            found.setdefault(match[1], {})[key] = float(match[3])
    notes = (line.partition(" ") for line in values.get("failed", ()))
    return Progress(
        succeeded=found.get("backup_last_success_timestamp_seconds", {}),
        until=found.get("wal_archived_until_timestamp_seconds", {}).get("", 0),
        verified=found.get("restore_verified_timestamp_seconds", {}),
        failed={part: text.strip() for part, _, text in notes},
        prepared=float(values.get("prepared", ["0"])[0]),
        rpo=found.get("restore_rpo_seconds", {}).get("", 0),
        stopped=tuple(line.strip().removesuffix(".timer") for line in values.get("stopped", ())),
        cut=cut(values.get("cut", ())),
    )


def cut(lines: Sequence[str]) -> dict[str, str]:
    """Service → ``to TIME`` or ``undo``, of each restore that was cut short."""
    return {name: how for name, _, how in (line.partition(" ") for line in lines)}


# Seconds: more than templates/backup/list.sh gives the bucket, 600 and twice 300.
FAR = 1500


class BackupsFact(FactBase[Backups]):
    """Backups; asks the bucket, so it takes seconds."""

    patience = FAR

    def command(self) -> str:
        """Prints a ``snapshots``, an ``archive`` and a ``log`` line, else ``wrong`` ones, ``damaged`` ones, and those of Progress."""
        return f"sh {CURRENT}/backup/list.sh\n{PROGRESS}\ntrue"

    @staticmethod
    def default() -> Backups:
        """Nothing is known."""
        return Backups()

    def process(self, output: list[str]) -> Backups:
        """Lines → Backups. Raises FactProcessError for output that no host prints."""
        values: dict[str, list[str]] = {}
        for line in output:
            key, _, value = line.partition(" ")
            values.setdefault(key, []).append(value)
        try:
            clock = float(values["clock"][0])
            taken = map(_snapshot, json.loads(values.get("snapshots", ["[]"])[0]))
            return Backups(
                clock=clock,
                snapshots=tuple(item for item in taken if item.taken <= clock),
                spans=reached(values),
                progress=progress(values),
                wrong=tuple(values.get("wrong", ())),
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise FactProcessError(f"cannot read what is in the bucket: {error}") from None


def _snapshot(found: Mapping[str, Any]) -> Snapshot:
    tags = [str(tag) for tag in found.get("tags") or ()]
    service = next((tag.partition("=")[2] for tag in tags if tag.startswith("service=")), "")
    taken = datetime.fromisoformat(found["time"]).astimezone(UTC)
    return Snapshot(service, "dump" in tags, tuple(map(str, found["paths"])), taken.timestamp())


def reached(values: Mapping[str, Sequence[str]]) -> tuple[Span, ...]:
    """The lines → what databases come back to. Raises ValueError, KeyError, TypeError or AttributeError for other lines."""
    stanzas = json.loads(values.get("archive", ["[]"])[0])
    return spans(stanzas, values.get("log", [""])[0], values.get("damaged", ()))

"""Restorable: what the bucket has, up to which second, and what of a service is on the host that a restore would replace."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from shlex import quote
from typing import Any

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import inside
from tasks.facts.backups import FAR, PROGRESS, progress, reached
from tasks.facts.line import Line, line_of
from tasks.facts.spans import Span, whole
from tasks.rendering.render import CURRENT
from tasks.services import backup

SCRIPT = f"{CURRENT}/restore/restore.sh"
DRILL = f"{CURRENT}/restore/drill.sh"
KEEPING = backup.RESTORED


@dataclass(frozen=True)
class BackedUp:
    """One of pgBackRest's backups: with the log from then on, any second after ``stop`` comes back."""

    label: str
    stop: float


@dataclass(frozen=True)
class Snapshot:
    """One of restic's, of one service's files, as they were from ``time`` on. size: bytes; 0 where it does not say."""

    name: str
    time: float
    service: str
    size: int = 0


@dataclass(frozen=True)
class Restorable:
    """Times are seconds since 1970. newest: up to then the log is in the bucket. spans: what of it databases come back to. databases:
    name → bytes, of these roles.

    snapshots: without those that a clock that was ahead has dated in the future. files: bytes. unfinished: the TO of a restore that
    was cut short. kept: what was replaced, by when. wrong: why a part of the bucket is not known. verified: ``service part`` → the last
    restore of it that was proven, of all services.
    """

    here: bool = False
    clock: float = 0
    newest: float = 0
    backups: tuple[BackedUp, ...] = ()
    spans: tuple[Span, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    wrong: tuple[str, ...] = ()
    databases: Mapping[str, int] = field(default_factory=dict)
    files: int = 0
    free: int = 0
    unfinished: str = ""
    kept: tuple[str, ...] = ()
    verified: Mapping[str, float] = field(default_factory=dict)


class RestorableFact(FactBase[Restorable]):
    """Restorable, of one service."""

    patience = FAR

    def command(self, service: str, roles: tuple[str, ...], volumes: tuple[str, ...]) -> str:
        """Prints what backup/list.sh and PROGRESS do, and ``here``, ``size``, ``holds``, ``free``, ``unfinished``, ``kept``, ``line`` and
        ``left`` lines.
        """
        owners = ", ".join(f"'{role}'" for role in roles) or "NULL"
        return f"""
[ -e {SCRIPT} ] || exit 0
echo here
sh {CURRENT}/backup/list.sh
{PROGRESS}
docker exec -i postgres psql -qAtX -F ' ' -U postgres -d postgres <<'SQL'
SELECT 'size', pg_database_size(oid), datname FROM pg_database WHERE pg_get_userbyid(datdba) IN ({owners});
SELECT 'line', timeline_id FROM pg_control_checkpoint();
SELECT 'left', regexp_split_to_table(pg_read_file('pg_wal/' || max(name)), E'\\n') FROM pg_ls_waldir() WHERE name LIKE '%.history';
\\q
SQL
for volume in {" ".join(map(quote, volumes))}; do
    path=$(docker volume inspect --format '{{{{.Mountpoint}}}}' "$volume" 2>/dev/null) &&
        echo "holds $(du -sk "$path" 2>/dev/null | cut -f 1)"
done
echo "free $(df -k --output=avail "$(docker info --format '{{{{.DockerRootDir}}}}')" | tail -n 1)"
[ ! -e {KEEPING}/{service}.journal ] || sed -n 's/^to /unfinished /p' {KEEPING}/{service}.journal
ls {KEEPING}/kept 2>/dev/null | sed -n 's/^{service}[.]/kept /p'
true
""".strip()  # noqa: S608  names of the catalogue

    @staticmethod
    def default() -> Restorable:
        """Nothing is set up there."""
        return Restorable()

    def process(self, output: list[str]) -> Restorable:
        """Lines → Restorable. Raises FactProcessError for output that no host prints."""
        if words := inside.unstarted(output):
            raise FactProcessError(inside.cannot("postgres", words))
        values: dict[str, list[str]] = {}
        for line in output:
            key, _, value = line.partition(" ")
            values.setdefault(key, []).append(value)
        try:
            return _restorable(values)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise FactProcessError(f"cannot read what can be restored: {error}") from None


def _restorable(values: Mapping[str, list[str]]) -> Restorable:
    sizes = (line.split(" ", 1) for line in values.get("size", ()))
    clock = float(values["clock"][0])
    return Restorable(
        here="here" in values,
        clock=clock,
        newest=progress(values).until,
        backups=tuple(_backups(values.get("archive", ()), _line(values), values.get("damaged", ()))),
        spans=reached(values),
        snapshots=tuple(item for item in snapshots(values.get("snapshots", ())) if item.time <= clock),
        wrong=tuple(values.get("wrong", ())),
        databases={name: int(size) for size, name in sizes},
        files=sum(int(line) * 1024 for line in values.get("holds", ())),
        free=int(values["free"][0]) * 1024,
        unfinished=values.get("unfinished", [""])[0],
        kept=tuple(sorted(values.get("kept", ()))),
        verified=progress(values).verified,
    )


def _line(values: Mapping[str, list[str]]) -> Line:
    return line_of(int(values.get("line", ["1"])[0]), "\n".join(values.get("left", ())))


def _backups(lines: Any, there: Line, damaged: Collection[str]) -> Iterator[BackedUp]:
    """Those from which the log of the server leads here."""
    found = [json.loads(line) for line in lines]
    for stanza in (each for stanzas in found for each in stanzas):
        for item in stanza["backup"]:
            if whole(item, damaged) and there.goes_on_from(item["archive"]["stop"], item["lsn"]["stop"]):
                yield BackedUp(str(item["label"]), float(item["timestamp"]["stop"]))


def snapshots(lines: Any) -> Iterator[Snapshot]:
    """Of services, from restic's JSON."""
    for item in (each for line in lines for each in json.loads(line) or ()):
        tags = item.get("tags") or ()
        services = [tag.removeprefix("service=") for tag in tags if tag.startswith("service=")]
        if services and "dump" not in tags:
            time = datetime.fromisoformat(item["time"])
            size = int((item.get("summary") or {}).get("total_bytes_processed", 0))
            yield Snapshot(str(item["id"]), time.timestamp(), services[0], size)


class ArchivedDatabasesFact(FactBase[tuple[str, ...]]):
    """The databases that a backup of pgBackRest's holds."""

    patience = FAR

    def command(self, label: str) -> str:
        """Prints its JSON."""
        return f"docker exec postgres pgbackrest --stanza=main --output=json --set={quote(label)} info || [ $? = 126 ]"

    @staticmethod
    def default() -> tuple[str, ...]:
        """None."""
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        """Names. Raises FactProcessError for output that is not pgBackRest's."""
        if words := inside.unstarted(output):
            raise FactProcessError(inside.cannot("postgres", words))
        try:
            [backup] = json.loads("".join(output))[0]["backup"]
            return tuple(str(item["name"]) for item in backup["database-ref"])
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            raise FactProcessError(f"cannot read which databases are backed up: {error}") from None


class GenerationFact(FactBase[str]):
    """The name of the rendered files that are active on the host, whichever copy of them; empty where there are none."""

    def command(self) -> str:
        """Prints it."""
        return f'basename "$(readlink {CURRENT})" 2>/dev/null || true'

    @staticmethod
    def default() -> str:
        """None."""
        return ""

    def process(self, output: list[str]) -> str:
        """Without what tells one copy from another."""
        return output[0].rstrip("+") if output else ""


class ReportFact(FactBase[tuple[str, ...]]):
    """What a restore has to say."""

    def command(self, service: str) -> str:
        """Prints its lines."""
        return f"cat {KEEPING}/{service}.report 2>/dev/null || true"

    @staticmethod
    def default() -> tuple[str, ...]:
        """Nothing."""
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        """As they are."""
        return tuple(output)

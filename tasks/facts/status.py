"""Status: what Docker says of our containers and why, whether Vault is sealed, room on the disk, failed units."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from shlex import quote
from typing import Any

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import (
    backups,
    bridges,
    certificates,
    drift,
    inside,
    last_run,
    off,
    outdated,
    rooms,
    rules,
    shut,
    usage,
)
from tasks.facts.access import FIREWALL, STANDS, TABLE
from tasks.facts.certificates import Certificate
from tasks.facts.docker import SILENT, DockerFact, DockerState
from tasks.facts.drift import Drift
from tasks.facts.last_run import Course
from tasks.facts.objects import ALONE, NOTED, OTHER_FORMAT
from tasks.facts.outbound import QUESTION as REACH
from tasks.facts.outbound import Outbound, outbound
from tasks.facts.outdated import Outdated
from tasks.facts.rooms import Room
from tasks.facts.shut import Shut
from tasks.facts.unsealer import NAME
from tasks.facts.usage import Memory, Usage
from tasks.rendering import notify_files
from tasks.rendering.render import SERVICE_LABEL


@dataclass(frozen=True)
class Standing:
    """One container: how it is, since when (seconds), and what Docker knows of the reason.

    checked: what its last health check said. error: why Docker could not start it.
    """

    status: str
    health: str = ""
    exit_code: int = 0
    killed_for_memory: bool = False
    restarts: int = 0
    since: int = 0
    checked: str = ""
    error: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Status:
    """All of a host that can be wrong, and what people ask first. docker: whether it answers. vault: its own seal status, None without an
    answer. unasked: why docker exec starts nothing there. units: those of ours that failed, and the one that unseals, when it is not active. off: those that are to start by themselves and do not → how. networks: Docker's, with its
    rules for them, the volumes that the last deploy has left (noted), and containers that are not ours. table: ``gone`` or ``changed`` where our firewall is not as it was loaded.
    backup: how its parts do by clock, the host's.
    done: ``database noted_as(job)`` of each job that has ended well once. volumes: those that there are.
    certificates: domain → the one that Caddy has. course: generation, last deploy, pending reboot.
    untold: channel of the setting ``notify`` → why it takes nothing. drift, outdated: what the host itself has found.
    """

    docker: bool = False
    containers: Mapping[str, Standing] = field(default_factory=dict)
    vault: Mapping[str, Any] | None = None
    unasked: str = ""
    rooms: tuple[Room, ...] = ()
    units: tuple[str, ...] = ()
    off: Mapping[str, str] = field(default_factory=dict)
    outbound: Outbound = field(default_factory=Outbound)
    done: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    networks: DockerState = field(default_factory=DockerState)
    table: str = ""
    clock: int = 0
    backup: backups.Progress = field(default_factory=backups.Progress)
    memory: Memory = field(default_factory=Memory)
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    course: Course = field(default_factory=Course)
    untold: Mapping[str, str] = field(default_factory=dict)
    shut: Shut = field(default_factory=Shut)
    drift: Drift = field(default_factory=Drift)
    outdated: Outdated = field(default_factory=Outdated)


class StatusFact(FactBase[Status]):
    """Status, in one command; on a host without Docker too."""

    def command(self) -> str:
        """Prints ``clock``, ``disk``, ``unit``, ``docker``, ``container``, ``volume``, ``done``, ``vault`` and ``firewall`` lines,
        and those of the modules above, for networks and rules DockerFact's.
        """
        return _STATUS

    @staticmethod
    def default() -> Status:
        """Nothing is known."""
        return Status()

    def process(self, output: list[str]) -> Status:
        """Lines → Status. Raises FactProcessError for output that no host prints."""
        values: dict[str, list[str]] = {}
        wired = [line for line in output if line.startswith(("n|", "r|", "g|", "x|"))]
        for line in (line for line in output if line not in wired):
            key, _, value = line.partition(" ")
            values.setdefault(key, []).append(value)
        try:
            now = int(values["clock"][0])
            used = usage.usage(values)
            return Status(
                docker="docker" in values,
                containers=dict(_standing(line, now, used) for line in values.get("container", ())),
                vault=inside.vault(values),
                unasked=inside.unstarted(output),
                rooms=tuple(map(rooms.room, values.get("disk", ()))),
                units=tuple(dict.fromkeys(values.get("unit", ()))),
                off=off.off(values),
                outbound=outbound(values),
                done=frozenset(values.get("done", ())),
                volumes=frozenset(values.get("volume", ())),
                networks=DockerFact().process(wired),
                table=values.get("firewall", [""])[0],
                clock=now,
                backup=backups.progress(values),
                memory=usage.memory(values),
                certificates=certificates.certificates(values),
                course=last_run.course(values),
                shut=shut.shut(values),
                drift=drift.found("".join(values.get("drift", ()))),
                outdated=outdated.outdated("".join(values.get("outdated", ()))),
                untold={
                    key: why for key, _, why in (line.partition(" ") for line in values.get("untold", ()))
                },
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise FactProcessError(f"cannot read how the host is: {error}") from None


def _standing(line: str, now: int, used: Mapping[str, Usage]) -> tuple[str, Standing]:
    name, restarts, text = line.removeprefix("/").split(" ", 2)
    state = json.loads(text)
    health = state.get("Health") or {}
    last = (health.get("Log") or [{}])[-1]
    running = state["Status"] in ("running", "paused")
    return name, Standing(
        state["Status"],
        health.get("Status", ""),
        int(state["ExitCode"]),
        bool(state["OOMKilled"]),
        int(restarts),
        max(0, now - _seconds(state["StartedAt"] if running else state["FinishedAt"], now)),
        " ".join(str(last.get("Output", "")).split()) if last.get("ExitCode") else "",
        str(state["Error"]),
        used.get(name, Usage()),
    )


def _seconds(stamp: str, now: int) -> int:
    """Docker's zero, the year 1, is what has never happened."""
    found = datetime.fromisoformat(stamp[:19]).replace(tzinfo=UTC)
    return now if found.year == 1 else int(found.timestamp())


_DONE = """
SELECT 'done', datname, split_part(setting, '=', 1) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase,
  unnest(setconfig) setting WHERE setrole = 0 AND starts_with(setting, 'smarteros.');
""".strip()
_OURS = "container {{.Name}} {{.RestartCount}} {{json .State}}" + usage.FORMAT
_FORMAT = quote(
    f'{{{{if index .Config.Labels "{SERVICE_LABEL}"}}}}{ALONE}{_OURS}{{{{end}}}}{{{{else}}}}{OTHER_FORMAT}{{{{end}}}}'
)
_STATUS = f"""
echo "clock $(date +%s)"
{rooms.QUESTION}
systemctl list-units --failed --plain --no-legend 'smarteros-*' 2>/dev/null | awk '{{print "unit", $1}}'
{off.QUESTION}
if [ -e /etc/systemd/system/{NAME}.service ]; then
    systemctl is-active --quiet {NAME}.service || echo "unit {NAME}.service"
fi
if [ -e {FIREWALL} ] && ! {STANDS}; then
    /usr/sbin/nft list table {TABLE} >/dev/null 2>&1 && echo "firewall changed" || echo "firewall gone"
fi
{backups.PROGRESS}
(cd {notify_files.STATE}/failed 2>/dev/null && for channel in *; do [ -e "$channel" ] && printf 'untold %s %s\\n' "$channel" "$(head -n 1 "$channel")"; done)
sed 's/^/drift /' {drift.FOUND} 2>/dev/null; echo
sed 's/^/outdated /' {outdated.FOUND} 2>/dev/null; echo
{usage.MEMORY}
{last_run.QUESTION}
command -v docker >/dev/null || exit 0
timeout 20 docker ps -q >/dev/null 2>&1 && echo docker || exit 0
# One that goes away in between is no failure.
containers() {{
    ids=$(docker ps -aq) || return
    [ -z "$ids" ] || docker inspect --format {_FORMAT} $ids || docker ps -q >/dev/null
}}
found=$(containers) || fail {SILENT}
printf '%s\n' "$found"
{usage.QUESTION}
volumes=$(docker volume ls --format '{{{{.Name}}}} {{{{.Mountpoint}}}}')
printf '%s\\n' "$volumes" | sed -n 's/^\\([^ ]*\\) .*/volume \\1/p'
sed 's/^/g|/' {NOTED} 2>/dev/null
{certificates.QUESTION}
{shut.psql(" ", _DONE)}
{rules.QUESTION}
ids=$(docker network ls -q) && [ -n "$ids" ] && docker network inspect --format {quote(bridges.FORMAT)} $ids 2>/dev/null
{REACH}
{inside.VAULT}
wait
true
""".strip()

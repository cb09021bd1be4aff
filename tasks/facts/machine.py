"""The machine: system, sizes, who listens on which port, which Docker is there."""

import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import backups, holders, kept, listeners, off, unsealer
from tasks.facts.access import QUESTION, Access, access
from tasks.facts.behind import QUESTION as BEHIND
from tasks.facts.behind import Behind, behind
from tasks.facts.listeners import Listener, Published
from tasks.facts.skew import skew
from tasks.facts.started import STARTED
from tasks.facts.stores import QUESTION as STORES
from tasks.facts.stores import Store, stores, tight
from tasks.facts.surroundings import QUESTION as AROUND
from tasks.facts.surroundings import Surroundings, surroundings
from tasks.facts.swap import QUESTION as SWAP
from tasks.facts.swap import Swap, swap
from tasks.facts.walls import QUESTION as WALLS
from tasks.facts.walls import walls


@dataclass(frozen=True)
class Machine:
    """The host itself: system, sizes, who listens on which port, which Docker is there, and what of ours.

    available_mb: of its memory, what is left now. units: our systemd units, name → "sha256 mode owner:group". timers: those enabled and active. off: units that are to start by themselves and do not → how. handed_out: services whose first login was given to the operator. credentials: units can have encrypted ones.
    apt: who holds one of its locks. daemon_unproven: Docker has not come back with its new settings yet. tight: file systems that a run writes to and that are full → MB that are free. docker_left: settings of ours that this host keeps to its own. backup: the bucket whose repositories are prepared. rewound: when it last went back, to when. cut: service → ``to TIME`` or ``undo`` of a restore that was cut short in the middle. unsealer: digest of what unseals Vault there, or ``differs``; empty where nothing does. acts: up to which number they are done (tasks/model/acts.py); None for a new host. skew: seconds that its clock is ahead at least; negative: behind.
    """

    system: str = ""
    release: str = ""
    architecture: str = ""
    init: str = ""
    user: str = ""
    memory_mb: int = 0
    available_mb: int = 0
    cpus: int = 0
    disk_free_mb: int = 0
    skew: int = 0
    deployed: bool = False
    listeners: tuple[Listener, ...] = ()
    published: tuple[Published, ...] = ()
    broken_packages: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    engine: str = ""
    compose: str = ""
    buildx: str = ""
    git: bool = False
    daemon_json: str = ""
    daemon_loose: bool = False
    daemon_unproven: bool = False
    docker_left: tuple[str, ...] = ()
    stores: tuple[Store, ...] = ()
    tight: Mapping[str, int] = field(default_factory=dict)
    daemon_enabled: bool = False
    daemon_stale: bool = False
    units: Mapping[str, str] = field(default_factory=dict)
    timers: tuple[str, ...] = ()
    off: Mapping[str, str] = field(default_factory=dict)
    handed_out: tuple[str, ...] = ()
    credentials: bool = False
    unsealer: str = ""
    access: Access = field(default_factory=Access)
    before: kept.Before = field(default_factory=kept.Before)
    surroundings: Surroundings = field(default_factory=Surroundings)
    walls: tuple[str, ...] = ()
    swap: Swap = field(default_factory=Swap)
    backup: str = ""
    rewound: str = ""
    cut: Mapping[str, str] = field(default_factory=dict)
    behind: Behind = field(default_factory=Behind)
    acts: int | None = None


class MachineFact(FactBase[Machine]):
    """Machine, for preflight and the docker phase."""

    def __init__(self) -> None:
        self.sent = time.time()

    def command(self) -> str:
        """Prints ``key value`` lines; a key may come several times."""
        return "\n".join((STARTED, *QUESTIONS.values()))

    @staticmethod
    def default() -> Machine:
        """Nothing is known."""
        return Machine()

    def process(self, output: list[str]) -> Machine:
        """Lines → Machine. Raises FactProcessError for output that no host of ours prints."""
        values: dict[str, list[str]] = {}
        for line in output:
            key, _, value = line.partition(" ")
            values.setdefault(key, []).append(value.strip())
        try:
            return replace(_machine(values), skew=skew(int(values["clock"][0]), self.sent, time.time()))
        except (ValueError, KeyError, IndexError) as error:
            raise FactProcessError(f"cannot read what the host says of itself: {error}") from None


# What takes long runs side by side (&): every docker command costs its program's start. So each line has to be written
# as one (sed -u, fflush): blocks of a pipe end anywhere, and another's line would come in between.
_MACHINE = r"""
(. /etc/os-release; echo "system $ID"; echo "release $VERSION_ID")
echo "architecture $(uname -m)"; echo "init $(cat /proc/1/comm)"; echo "user $(id -un)"; echo "cpus $(nproc)"
awk '/^MemTotal:/ {print "memory_kb", $2} /^MemAvailable:/ {print "available_kb", $2}' /proc/meminfo
command -v git >/dev/null && echo "git yes"; df -Pk /var/lib | awk 'NR == 2 {print "disk_kb", $4}'
sed -u 's/^/docker_left /' /opt/smarteros/docker-left 2>/dev/null
echo "clock $(date +%s)"; { [ -e /opt/smarteros/current ] || [ -L /opt/smarteros/current ]; } && echo "deployed yes"
find /etc/systemd/system -maxdepth 1 -name 'smarteros-*' -xtype f -exec sha256sum {} + -exec stat -c '%a %U:%G %n' {} + 2>/dev/null |
    awk '{sub(/\/.*\//, "")} NF == 2 {sum[$2] = $1} NF == 3 && $3 in sum {print "unit", $3, sum[$3], $1, $2; fflush()}'
{
    set --
    for timer in /etc/systemd/system/timers.target.wants/smarteros-*; do [ -e "$timer" ] && set -- "$@" "${timer##*/}"; done
    [ $# = 0 ] || systemctl is-active "$@" 2>/dev/null | while read -r state; do
        [ "$state" = active ] && echo "timer $1"
        shift
    done
} &
sed -u 's/^/backup /' /var/lib/smarteros/backup/prepared 2>/dev/null; sed -un '$s/^/rewound /p' /var/lib/smarteros/backup/rewound 2>/dev/null
case $(readlink /opt/smarteros/current) in generations/*) echo "acts $(grep -sxE '[0-9]+' /opt/smarteros/records/.acts || echo 0)" ;; esac
sed -u 's/^/handed_out /' /opt/smarteros/handed-out 2>/dev/null; dpkg --audit 2>/dev/null | awk '/^ / {print "broken", $1; fflush()}' &
systemctl is-enabled --quiet docker 2>/dev/null && echo "enabled yes"
if [ -s /etc/docker/daemon.json ]; then
    echo "daemon_json $(base64 -w0 </etc/docker/daemon.json)"
    [ -e /etc/docker/.daemon.json.before ] && echo "unproven yes"
    [ "$(stat -c '%a %U:%G' /etc/docker/daemon.json)" = "644 root:root" ] || echo "loose yes"
fi
if command -v docker >/dev/null; then
    { docker ps --format '{{.Names}} {{.Label "smarteros.service"}} {{.Ports}}' 2>/dev/null || echo -; } |
        sed -u 's/^/publisher /' &
    engine() { docker version --format '{{.Server.Version}}' 2>/dev/null; }
    # Asked again: what only restarts is not down.
    { engine=$(engine) || engine=$(sleep 1; engine); echo "engine $engine"; } &
    # The plugins' files, in every folder where docker looks: to start each costs more than all the rest.
    for plugin in compose buildx; do
        ls /usr/*/docker/cli-plugins/docker-$plugin /usr/local/*/docker/cli-plugins/docker-$plugin 2>/dev/null |
            sed -u "s/^/$plugin /"
    done
    written=$(stat -c %Y /etc/docker/daemon.json 2>/dev/null || echo 0)
    [ "$written" -gt "$(started docker)" ] && echo "stale yes"
fi
wait; true
""".strip()

# What is asked about → shell. The last waits for all the others.
QUESTIONS = {
    "unsealer": unsealer.QUESTION,
    "kept": kept.QUESTION,
    "access": QUESTION,
    "listeners": listeners.QUESTION,
    "surroundings": AROUND,
    "walls": WALLS,
    "behind": BEHIND,
    "swap": SWAP,
    "stores": STORES,
    "off": f"{{\n{off.QUESTION}\n}} &",
    "apt": holders.QUESTION,
    "half restored": backups.HALF_RESTORED,
    "machine": _MACHINE,
}


# What is true where the host has said it at all.
_FLAGS = ("deployed", "git", "credentials")
_DAEMON = ("unproven", "loose", "enabled", "stale")


def _machine(values: dict[str, list[str]]) -> Machine:
    def one(key: str, default: str = "") -> str:
        return values.get(key, [default])[0]

    flags: dict[str, Any] = {name: name in values for name in _FLAGS}
    flags |= {f"daemon_{name}": name in values for name in _DAEMON}
    return Machine(
        system=values["system"][0],
        release=one("release"),
        architecture=values["architecture"][0],
        init=one("init"),
        user=one("user"),
        memory_mb=int(values["memory_kb"][0]) // 1024,
        available_mb=int(one("available_kb", "0")) // 1024,
        cpus=int(values["cpus"][0]),
        disk_free_mb=int(values["disk_kb"][0]) // 1024,
        listeners=(listening := listeners.listeners(values)),
        published=listeners.published(values),
        broken_packages=tuple(values.get("broken", ())),
        apt=tuple(values.get("apt", ())),
        engine=one("engine"),
        compose=one("compose"),
        buildx=one("buildx"),
        daemon_json=b64decode(one("daemon_json")).decode(errors="replace"),
        docker_left=tuple(values.get("docker_left", ())),
        stores=stores(values),
        tight=tight(values),
        units=dict(line.split(" ", 1) for line in values.get("unit", ())),
        timers=tuple(values.get("timer", ())),
        off=off.off(values),
        handed_out=tuple(values.get("handed_out", ())),
        unsealer=one("unsealer"),
        backup=one("backup"),
        rewound=one("rewound"),
        cut=backups.cut(values.get("cut", ())),
        access=access(values, listening),
        before=kept.before(values),
        surroundings=surroundings(values),
        walls=walls(values),
        swap=swap(values),
        behind=behind(values),
        acts=int(one("acts")) if "acts" in values else None,
        **flags,
    )

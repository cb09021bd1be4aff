"""What the routine of backups costs a host that runs everything: CPU of an hour in which little is written, the most memory of what
its timers start, and the remote commands of a deploy that changes nothing.

``python -m tests.bench.routine --check``. The host, made and deployed unless it is there, is measured with its timers stopped, with what
is copied all the time, and through each other part once; an hour has as many of each as its timer says.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasks.services import load
from tests.e2e import backed
from tests.e2e.deployment import Deployment
from tests.lab import smarteros
from tests.lab.hosts import LabHost
from tests.lab.lab import Lab

MOST_CPU, MOST_MB, MOST_COMMANDS = 0.03, 300, 13
# How often an hour has what its own timer starts rarely, and, where little is written, a change of files.
TIMES = {"files": 12, "redis": 4, "vault": 1, "postgres": 1 / 6, "dumps": 1 / 24, "check": 1 / 24}
ALWAYS = ("heartbeat", "backup-files")
TIMERS = "'smarteros-*.timer'"
SAMPLER = Path(__file__).with_name("routine_sampler.py")
# A row each second.
WRITER = r"""
rm -f /tmp/stop
psql() { docker exec -i postgres psql -qAtX -U postgres -d postgres; }
echo 'CREATE TABLE IF NOT EXISTS routine (at timestamptz, what text)' | psql
while [ ! -e /tmp/stop ]; do
    echo "INSERT INTO routine VALUES (clock_timestamp(), repeat(md5(random()::text), 30));"
    sleep 1
done | psql
"""
CHANGED = "date >$(docker volume inspect --format '{{.Mountpoint}}' n8n_data)/routine; sleep 3"


@dataclass
class Phase:
    """One stretch of time: seconds, CPU seconds of the whole host, KB of the routine's processes at the worst, and whose."""

    phase: str
    seconds: float
    cpu: float
    peak: int
    who: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Of one core."""
        return self.cpu / self.seconds


def main() -> int:
    """Prints the figures; with ``--check``, exit code 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="of each of the two long stretches")
    parser.add_argument("--lab", default="bench", help="a lab of this name, made unless it is there")
    parser.add_argument(
        "--host", default="backed", help="its host, made and deployed with backups unless it is there"
    )
    parser.add_argument("--check", action="store_true", help="exit code 1 when a limit is passed")
    given = parser.parse_args()
    lab = Lab(given.lab)
    smarteros.prepare(lab, [given.host])
    host = Deployment(lab, lab.host(given.host))
    names = [service.name for service in load(smarteros.settings())]
    with tempfile.TemporaryDirectory() as folder:
        kit = Path(folder) / "kit.json"
        if host.host.run("test -e /var/lib/smarteros/backup/prepared", check=False).returncode:
            backed.deployed(host, kit, names)
        again = backed.Backed(host, lab.bucket(given.host), kit, names).run()
    commands = len(re.findall(r"^\S* *>>> ", again.output, re.MULTILINE))
    print(f"a deploy that changes nothing: {commands} remote commands (at most {MOST_COMMANDS})", flush=True)
    good = [again.code == 0 and not again.changes, commands <= MOST_COMMANDS]
    good.append(told(measured(host.host, given.minutes * 60)))
    return 1 if given.check and not all(good) else 0


def told(found: dict[str, Phase]) -> bool:
    """The lines; whether both limits are kept."""
    idle, always = found["idle"], found["always"]
    share = always.rate - idle.rate
    print(
        f"without: {idle.rate:.2%} of a core; with what is copied or looked at all the time: {share:.2%} more"
    )
    for name, times in TIMES.items():
        cost = found[name].cpu - idle.rate * found[name].seconds
        share += cost * times / 3600
        print(f"{name}: {cost:.1f} s of CPU, {times:.2f} times an hour ({cost * times / 3600:.2%})")
    for each in found.values():
        who = ", ".join(
            f"{name} {kb >> 10}" for name, kb in sorted(each.who.items(), key=lambda item: -item[1])[:6]
        )
        print(f"{each.phase}: at most {each.peak / 1024:.0f} MB ({who})")
    peak = max(each.peak for each in found.values()) / 1024
    print(f"routine: {share:.2%} of a core (at most {MOST_CPU:.0%}), {peak:.0f} MB (at most {MOST_MB})")
    return share <= MOST_CPU and peak <= MOST_MB


def measured(host: LabHost, seconds: float) -> dict[str, Phase]:
    """Each phase by its name. The timers run again afterwards."""
    found = {}
    host.run(
        f"systemctl stop {TIMERS}; while systemctl list-units --plain --no-legend --state=activating 'smarteros-*.service' | grep -q .; do sleep 1; done"
    )
    host.run(f"cat >/tmp/writer <<'END'\n{WRITER}\nEND\nsetsid bash /tmp/writer >/dev/null 2>&1 </dev/null &")
    try:
        time.sleep(5)
        with sampling(host) as begin:
            begin("idle")
            time.sleep(seconds)
            host.run(f"systemctl start {' '.join(f'smarteros-{name}.timer' for name in ALWAYS)}")
            begin("settling")
            time.sleep(30)
            begin("always")
            time.sleep(seconds)
            begin("quiet")
            host.run(f"systemctl stop {TIMERS}; sleep 5")
            for name in TIMES:
                begin("before")
                host.run(CHANGED)
                begin(name)
                host.run(f"systemctl start smarteros-backup-{name}.service")
            begin("together")
            units = " ".join(f"smarteros-backup-{name}.service" for name in TIMES)
            host.run(
                f"rm -f /var/lib/smarteros/backup/*.since; systemctl start smarteros-heartbeat.service {units}"
            )
        found = begin.phases
    finally:
        host.run(f"touch /tmp/stop; systemctl start --all {TIMERS}")
    return found


class Begin:
    """Starts the next phase of a sampler."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process, self.phases = process, dict[str, Phase]()

    def __call__(self, name: str) -> None:
        """Its name."""
        assert self.process.stdin
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """What there was."""
        said, _ = self.process.communicate()
        self.phases |= {
            each.phase: each for each in (Phase(**json.loads(line)) for line in said.splitlines())
        }


@contextmanager
def sampling(host: LabHost) -> Iterator[Begin]:
    """A sampler on the host; what it has seen stands in ``phases`` afterwards."""
    host.run("cat >/tmp/sampler", input=SAMPLER.read_text())
    with subprocess.Popen(
        [*host.ssh(), "python3 /tmp/sampler"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        begin = Begin(process)
        yield begin
        begin.end()


if __name__ == "__main__":
    sys.exit(main())

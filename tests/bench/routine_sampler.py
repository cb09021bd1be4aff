"""Runs on the host, by its own Python: how much CPU it has had and how much memory the routine of backups, while its input is open.

Reads a name on each line; prints, when the next one comes or the end, one line of JSON about the time since the one before.
"""

import json
import re
import select
import sys
import time
from pathlib import Path

PROC = Path("/proc")
EVERY = 0.1
OURS = re.compile(r"/smarteros-(heartbeat|backup-[a-z]+|drill[a-z-]*)\.service")
CONTAINER = re.compile(r"[0-9a-f]{64}")
# What runs for it in a container of the stack.
WITHIN = ("pgbackrest", "psql", "timeout")


def cpu() -> float:
    """Seconds that all of the host has had."""
    old = Path("/sys/fs/cgroup/cpuacct/cpuacct.usage")
    if old.exists():
        return int(old.read_text()) / 1e9
    [used] = re.findall(r"usage_usec (\d+)", Path("/sys/fs/cgroup/cpu.stat").read_text())
    return int(used) / 1e6


def processes() -> set[str]:
    return {path.name for path in PROC.iterdir() if path.name.isdigit()}


def text(pid: str, name: str) -> str:
    try:
        return (PROC / pid / name).read_text(errors="replace")
    except OSError:
        return ""


def containers(pid: str) -> set[str]:
    """Those that it is in, or that it is the shim of."""
    return set(CONTAINER.findall(text(pid, "cgroup"))) | (
        set(CONTAINER.findall(text(pid, "cmdline")))
        if text(pid, "comm").startswith("containerd-shim")
        else set()
    )


THERE = processes()
PERMANENT = set().union(*map(containers, THERE))


def memory() -> dict[str, int]:
    """Who → KB of its own, and its share of what it shares."""
    found: dict[str, int] = {}
    for pid in processes() - THERE:
        unit, inside = OURS.search(text(pid, "cgroup")), containers(pid)
        name = text(pid, "comm").strip()
        if not (unit or inside - PERMANENT or (inside and name in WITHIN)):
            continue
        share = re.search(r"^Pss: +(\d+)", text(pid, "smaps_rollup"), re.MULTILINE)
        if share:
            key = f"{unit[1] if unit else 'container'} {name}"
            found[key] = found.get(key, 0) + int(share[1])
    return found


def main() -> None:
    said: dict[str, object] = {}
    began = used = 0.0
    peak = 0
    while True:
        if select.select([sys.stdin], [], [], EVERY)[0]:
            line = sys.stdin.readline()
            if said:
                print(
                    json.dumps(said | {"seconds": time.monotonic() - began, "cpu": cpu() - used}), flush=True
                )
            if not line:
                return
            began, used, peak = time.monotonic(), cpu(), -1
            said = {"phase": line.strip()}
        now = memory()
        if sum(now.values()) > peak:
            peak = sum(now.values())
            said |= {"peak": peak, "who": now}


main()

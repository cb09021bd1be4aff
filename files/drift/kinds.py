"""All kinds of what is looked at, and the look."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from containers import containers, tasks, volumes
from system import files, kernel, packages, redis, rules, units, users

KINDS = {
    "file": files,
    "container": containers,
    "tasks": tasks,
    "volume": volumes,
    "unit": units,
    "firewall": rules,
    "kernel": kernel,
    "user": users,
    "package": packages,
    "redis": redis,
}


def now(what: dict) -> dict:
    """Kind → name → values, as all of it is. Side by side: most of the time other programs are waited for, at the end of each deploy."""
    with ThreadPoolExecutor(len(KINDS)) as pool:
        found = {kind: pool.submit(look, what) for kind, look in KINDS.items()}
        return {kind: look.result() for kind, look in found.items()}

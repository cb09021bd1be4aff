"""All kinds of what is looked at, and the look."""

from __future__ import annotations

from containers import containers, volumes
from system import files, kernel, packages, redis, rules, units, users

KINDS = {
    "file": files,
    "container": containers,
    "volume": volumes,
    "unit": units,
    "firewall": rules,
    "kernel": kernel,
    "user": users,
    "package": packages,
    "redis": redis,
}


def now(what: dict) -> dict:
    """Kind → name → values, as all of it is."""
    return {kind: look(what) for kind, look in KINDS.items()}

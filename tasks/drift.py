"""Drift: the host looks daily for what differs from what the last deploy has made, which that notes at its end (tasks/record.py).

Contents are kept as digests (files/drift).
"""

from tasks import host as hardening
from tasks import login_keys
from tasks.facts import redis
from tasks.facts.access import DROP_IN, FIREWALL, FIREWALL_UNIT, TABLE
from tasks.facts.kept import DAEMON_JSON
from tasks.operations import theirs
from tasks.operations.described import links
from tasks.operations.needed import PACKAGES
from tasks.operations.units import units
from tasks.rendering import drift_files
from tasks.rendering.render import CURRENT, SECRETS
from tasks.run import services

# Whichever of these a host has.
_DOCKER = (
    "containerd.io",
    "docker-buildx",
    "docker-buildx-plugin",
    "docker-ce",
    "docker-cli",
    "docker-compose",
    "docker-compose-plugin",
    "docker-compose-v2",
    "docker.io",
)


def run() -> None:
    """The phase."""
    units(drift_files.units(CURRENT), name="Drift | the host looks daily for what differs")


def wanted() -> dict[str, list[str] | str]:
    """What the host is to look at: what deploys write, and what they install, start and set."""
    texts, keys = hardening.files(), login_keys.files()
    return {
        "files": sorted(
            {
                f"{CURRENT}/",
                CURRENT,
                f"{SECRETS}/",
                "/etc/systemd/system/smarteros-*",
                FIREWALL,
                DROP_IN,
                DAEMON_JSON,
                *texts,
                *links(),
                *(path for paths in keys.values() for path in paths),
            }
        ),
        "units": ["docker.service", FIREWALL_UNIT, *hardening.UNITS],
        "tables": [TABLE],
        "kernel": sorted(theirs.kernel(texts)),
        "keys": sorted(keys),
        "tasks": "yes" if any(service.nodes for service in services()) else "",
        "redis": redis.QUESTION if any(service.name == "redis" for service in services()) else "",
        "packages": sorted({*PACKAGES, *hardening.MACHINE_PACKAGES, *_DOCKER}),
    }

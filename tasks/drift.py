"""Drift: what a deploy has made is noted on the host at its end, and the host looks daily for what differs from it since.

Contents are kept as digests (files/drift.py). What no deploy makes good (a new user, say) is said when it becomes what is noted.
"""

import json
from typing import Any

from pyinfra import logger
from pyinfra.api import StringCommand

from tasks import host as hardening
from tasks.facts import DriftFact
from tasks.facts.access import DROP_IN, FIREWALL, FIREWALL_UNIT, TABLE
from tasks.facts.kept import DAEMON_JSON
from tasks.operations import theirs
from tasks.operations.described import links
from tasks.operations.needed import PACKAGES
from tasks.operations.units import units
from tasks.rendering import drift_files, render
from tasks.rendering.drift_files import PROGRAM
from tasks.rendering.render import CURRENT, SECRETS
from tasks.run import Commands, executing, host, known, operation

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
    """The phase, after all others: what they have made is there."""
    units(drift_files.units(CURRENT), name="Drift | the host looks daily for what differs")
    noted(name="Drift | what this run has made is noted")


@operation
def noted() -> Commands:
    """Once it differs from what was noted, or from what is to be looked at."""
    what = wanted()
    found = known(DriftFact)
    if found.wanted == what["digest"] and not found.differences:
        return
    if executing() and found.noted:
        for item in found.differences:
            if item.kind in ("user", "package"):
                text = (
                    f"drift: {item.kind} {item.name} {item.what}; from now on that is how it is meant to be"
                )
                host().log_styled(text, fg="yellow", log_func=logger.warning)
    yield StringCommand(f"python3 -I -B {CURRENT}/{PROGRAM} note", _stdin=json.dumps(what))


def wanted() -> dict[str, Any]:
    """What the host is to look at: what deploys write, and what they install, start and set."""
    texts = hardening.files()
    found: dict[str, Any] = {
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
            }
        ),
        "units": ["docker.service", FIREWALL_UNIT, *hardening.UNITS],
        "tables": [TABLE],
        "kernel": sorted(theirs.kernel(texts)),
        "packages": sorted({*PACKAGES, *hardening.MACHINE_PACKAGES, *_DOCKER}),
    }
    return {**found, "digest": render.digest(json.dumps(found))}

"""Well: whether all that a host should run is healthy, and how long that takes."""

import time
from collections.abc import Callable
from typing import Any

from tests.e2e.clients import containers
from tests.e2e.deployment import Deployment

SEALED = (
    "docker exec vault wget -q -O - http://127.0.0.1:8200/v1/sys/seal-status | grep -o '\"sealed\":[a-z]*'"
)


def sealed(deployment: Deployment) -> str:
    return deployment.sh(SEALED, check=False).strip()


def wait_for(what: Callable[[], object], good: object, seconds: float) -> float:
    """Seconds until it is so. Fails with what it is instead."""
    started = time.monotonic()
    while (found := what()) != good:
        assert time.monotonic() - started < seconds, found
        time.sleep(0.5)
    return time.monotonic() - started


def succeeded(container: dict[str, Any]) -> bool:
    """Whether it is a job that has: what nothing starts again, and what ended by itself with 0."""
    ends = container["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
    return ends and (container["State"]["Status"], container["State"]["ExitCode"]) == ("exited", 0)


def not_well(deployment: Deployment) -> dict[str, str]:
    """Containers that are neither healthy nor a job that has succeeded, and a Vault that is sealed."""
    try:
        there = containers(deployment)
    except (ValueError, RuntimeError) as error:
        return {"docker": str(error)}
    wrong = {
        name: f"{item['State']['Status']} {item['State'].get('Health', {}).get('Status')}"
        for name, item in there.items()
        if not succeeded(item) and item["State"].get("Health", {}).get("Status") != "healthy"
    }
    return wrong or ({} if sealed(deployment) == '"sealed":false' else {"vault": "sealed"})

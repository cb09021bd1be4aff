"""The machine itself: another system, too little of it, a clock that is wrong."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

SYSTEMS = "debian 12, 13; ubuntu 22.04, 24.04, 26.04"
LARGER = "choose fewer services, a smaller profile, or take a larger host"
OTHER = "cp -P /etc/os-release /run/os-release && rm /etc/os-release && printf '{}' >/etc/os-release"
BACK = "rm /etc/os-release && cp -P /run/os-release /etc/os-release"

CONDITIONS = [
    Condition(
        "another system",
        OTHER.format("ID=arch\\nVERSION_ID=99\\n"),
        BACK,
        refused=(f"system: arch 99 is not supported; use one of: {SYSTEMS}",),
    ),
    Condition(
        "a release without a number, as Debian's testing has it",
        OTHER.format("ID=debian\\n"),
        BACK,
        refused=(f"system: debian  is not supported; use one of: {SYSTEMS}",),
    ),
    Condition(
        "less memory than the services need",
        values={"memory": "awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo"},
        refused=(f"memory: {{memory}} MB, and the chosen services need 1000400 MB: {LARGER}",),
        settings={"services": ["vault", "redis"], "overrides": {"redis": {"memory_mb": 1000000}}},
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_machine_that_cannot_take_it(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)

"""What stands in apt's way: named with file and line before anything changes."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

LISTS = "/etc/apt/sources.list.d"
PROXY = "/etc/apt/apt.conf.d/01proxy"

CONDITIONS = [
    Condition(
        "a package on hold that is not there",
        "apt-get -q update >/dev/null; apt-mark hold nftables >/dev/null",
        "apt-mark unhold nftables >/dev/null",
        refused=("apt: nftables is on hold and not installed: `apt-mark unhold nftables`",),
    ),
    Condition(
        "a source that apt cannot read",
        f"echo 'deb nonsense' >{LISTS}/x.list",
        f"rm {LISTS}/x.list",
        refused=(
            (
                f"apt: Malformed entry 1 in list file {LISTS}/x.list (Suite): mend it (`apt-get update` has to read every "
                "source)"
            ),
        ),
    ),
    Condition(
        "a proxy that is gone",
        f"echo 'Acquire::http::Proxy \"http://127.0.0.1:9\";' >{PROXY}",
        f"rm {PROXY}",
        refused=(f"apt: its proxy http://127.0.0.1:9 ({PROXY}) does not answer: start it, or take it out",),
    ),
    Condition(
        "sources that cannot be reached, which a run may not need",
        f"echo 'deb cdrom:[Debian 13]/ trixie main' >{LISTS}/x.list; echo 'deb http://dead.example/x y z' >{LISTS}/y.list",
        f"rm {LISTS}/x.list {LISTS}/y.list",
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_what_stands_in_apts_way(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)

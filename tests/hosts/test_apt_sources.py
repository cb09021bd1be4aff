"""What stands in apt's way: named with file and line before anything changes."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

LISTS = "/etc/apt/sources.list.d"
PROXY = "/etc/apt/apt.conf.d/01proxy"

PIN = "/etc/apt/preferences.d/own"
PINNED = f"apt: {{}} is kept from being installed by {PIN}: take that out"
# A package that needs another, which is not there.
PACKAGE = (
    "mkdir -p /run/own/DEBIAN; printf 'Package: own-shop\\nVersion: 1\\nArchitecture: all\\nMaintainer: own <own@example.com>\\n"
    "Description: own\\nDepends: {}\\n' >/run/own/DEBIAN/control; dpkg-deb -b /run/own /run/own.deb >/dev/null; "
    "dpkg -i {} /run/own.deb >/dev/null 2>&1 || true"
)
NO_PACKAGE = "dpkg -r own-shop >/dev/null; rm -r /run/own /run/own.deb"

CONDITIONS = [
    Condition(
        "a pin against Docker, on a host that has no lists yet",
        f"rm -rf /var/lib/apt/lists/*; printf 'Package: docker.io\\nPin: release *\\nPin-Priority: -1\\n' >{PIN}",
        f"rm {PIN}",
        refused=(PINNED.format("docker.io"),),
    ),
    Condition(
        "a pin against a distribution, on a host that has lists",
        f"apt-get -q update >/dev/null; printf 'Package: nft* apparmor\\nPin: release o=Debian\\nPin-Priority: -10\\n' >{PIN}",
        f"rm {PIN}",
        refused=(PINNED.format("nftables"), PINNED.format("apparmor")),
    ),
    Condition(
        "a package of somebody's that lacks what nobody has",
        PACKAGE.format("no-such-package", "--force-depends"),
        NO_PACKAGE,
        refused=(
            (
                "apt: own-shop : Depends: no-such-package but it is not installable, and nothing else can be installed until "
                "that is mended: `apt-get --fix-broken install` says how, or remove own-shop"
            ),
        ),
    ),
    Condition(
        "a package of somebody's that lacks what apt can get",
        f"apt-get -q update >/dev/null; {PACKAGE.format('tree', '')}",
        NO_PACKAGE,
        said=(
            (
                "apt: own-shop: not configured, or installed by halves: finished first (dpkg --audit), and a run stops where "
                "that fails"
            ),
            "apt: own-shop : Depends: tree but it is not installed: apt gets what is missing first",
        ),
    ),
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

"""Disk: Docker's own file systems, as people mount them."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

LARGER = "choose fewer services, a smaller profile, or take a larger host"
SETTINGS = 'mkdir -p /etc/docker /srv/small; printf \'{"data-root": "/srv/small"}\' >/etc/docker/daemon.json'
BACK = "umount /srv/small; rm -r /etc/docker /srv/small"

CONDITIONS = [
    Condition(
        "a data-root in memory, and a small one",
        f"{SETTINGS}; mount -t tmpfs -o size=100M,nr_inodes=1000k tmpfs /srv/small",
        BACK,
        refused=(
            f"disk: 100 MB free below /srv/small, and 5222 MB are needed: {LARGER}",
            "disk: /srv/small is in memory (tmpfs), so that a boot would empty it: mount a disk there",
        ),
        settings={"services": ["vault", "redis"]},
    ),
    Condition(
        "a data-root from which nothing runs",
        f"{SETTINGS}; mount --bind /srv/small /srv/small; mount -o remount,bind,noexec /srv/small",
        BACK,
        refused=(
            "disk: /srv/small is mounted noexec, which volumes inherit: take that out of /etc/fstab and remount it",
        ),
        settings={"services": ["vault", "redis"]},
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_file_system_that_docker_cannot_live_on(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)

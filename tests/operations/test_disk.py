"""Disk: room is asked for where Docker stores, and a file system that would lose or spoil it is refused."""

from dataclasses import replace

import pytest

from tasks.facts import Machine
from tasks.facts.stores import Store
from tasks.facts.survey import Mount
from tasks.operations import disk

LARGER = ": choose fewer services, a smaller profile, or take a larger host"
ONE = (
    Store("/var/lib", "1", 30_000, 900_000),
    Store("/var/lib/containerd", "1", 30_000, 900_000),
    Store("/var/lib/docker", "1", 30_000, 900_000),
)


def problems(*stores: Store, deployed: bool = False, images: str = "") -> list[str]:
    machine = Machine(stores=stores, deployed=deployed)
    return list(disk.problems(machine, 20_000, 10, images))


def own(path: str, free_mb: int, files: int = 900_000) -> Store:
    return Store(path, path, free_mb, files)


def test_a_file_system_of_its_own_that_is_full_is_named() -> None:
    assert list(disk.tight(Machine())) == []
    said = "disk: 3 MB free on /var/log, and a run writes there: `du -xh --max-depth 2 /var/log` says what takes it; make room"
    assert list(disk.tight(Machine(tight={"/var/log": 3}))) == [said]


def test_one_file_system_holds_everything() -> None:
    assert problems(*ONE) == []
    short = tuple(replace(item, free_mb=19_999) for item in ONE)
    assert problems(*short) == [f"disk: 19999 MB free below /var/lib, and 20000 MB are needed{LARGER}"]


def test_a_file_system_of_dockers_own_is_where_the_room_has_to_be() -> None:
    assert problems(own("/var/lib", 2048), own("/var/lib/containerd", 0), own("/srv/docker", 17_952)) == []
    assert problems(own("/var/lib", 2047), ONE[1], own("/srv/docker", 17_951)) == [
        f"disk: 2047 MB free below /var/lib, and 2048 MB are needed{LARGER}",
        f"disk: 17951 MB free below /srv/docker, and 17952 MB are needed{LARGER}",
    ]


def test_containerd_needs_room_where_it_stores_the_images() -> None:
    stores = (own("/var/lib", 5000), own("/var/lib/containerd", 8975), own("/var/lib/docker", 20_000))
    assert problems(*stores) == []
    assert problems(*stores, images="containerd") == [
        f"disk: 8975 MB free below /var/lib/containerd, and 8976 MB are needed{LARGER}"
    ]


def test_an_update_needs_less_of_each() -> None:
    assert problems(
        own("/var/lib", 2048), own("/var/lib/containerd", 2048), own("/srv/d", 2047), deployed=True
    ) == [f"disk: 2047 MB free below /srv/d, and 2048 MB are needed{LARGER}"]


def test_files_count_too_where_their_number_is_limited() -> None:
    few = tuple(replace(item, files=299_999) for item in ONE)
    assert problems(*few) == [
        (
            "disk: room for 299999 more files below /var/lib, and 300000 are needed: remove what is not needed, or give it a "
            "file system with more inodes"
        )
    ]
    assert problems(*(replace(item, files=-1) for item in ONE)) == []


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("ext4", "rw,relatime", ""),
        ("xfs", "rw,nosuid,nodev", ""),
        ("tmpfs", "rw", "is in memory (tmpfs), so that a boot would empty it: mount a disk there"),
        (
            "nfs4",
            "rw",
            "is on a network file system (nfs4), on which Docker cannot store: mount a disk there",
        ),
        (
            "ext4",
            "ro,relatime",
            "is mounted read-only: mount -o remount,rw it, or mend the disk (dmesg says why)",
        ),
        (
            "ext4",
            "rw,noexec",
            "is mounted noexec, which volumes inherit: take that out of /etc/fstab and remount it",
        ),
    ],
)
def test_a_file_system_that_docker_cannot_live_on_is_refused(kind: str, options: str, why: str) -> None:
    mount = Mount("/srv/docker", kind, tuple(options.split(",")), "1")
    assert list(disk.unfit([mount])) == ([f"disk: /srv/docker {why}"] if why else [])

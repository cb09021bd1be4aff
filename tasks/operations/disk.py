"""Disk: room where Docker stores, which need not be where it usually does, and file systems that it cannot live on."""

from collections.abc import Iterable, Iterator

from tasks.facts import Machine
from tasks.facts.stores import Store
from tasks.facts.survey import Mount

LARGER = ": choose fewer services, a smaller profile, or take a larger host"

_UPDATE_MB = 2048
# What the system itself takes of the demand, where Docker has a file system of its own.
_SYSTEM_MB = 2048
_FILES, _UPDATE_FILES = 30_000, 2_000


def problems(machine: Machine, needed_mb: int, containers: int, images: str = "") -> Iterator[str]:
    """Too little room for the first deploy, or for an update. images: "containerd" where that stores them. Pure."""
    needs = {} if machine.deployed else _first(machine.stores, needed_mb, images)
    files = _UPDATE_FILES if machine.deployed else _FILES * containers
    for store in distinct(machine.stores) or (Store("/var/lib", "", machine.disk_free_mb, -1),):
        needed = _UPDATE_MB if machine.deployed else needs.get(store.device, needed_mb)
        if store.free_mb < needed:
            yield f"disk: {store.free_mb} MB free below {store.path}, and {needed} MB are needed{LARGER}"
        if 0 <= store.files < files and store.device in (needs or {store.device: 0}):
            yield (
                f"disk: room for {store.files} more files below {store.path}, and {files} are needed: remove what is not "
                "needed, or give it a file system with more inodes"
            )


def tight(machine: Machine) -> Iterator[str]:
    """File systems of their own that are full. Pure."""
    for path, free_mb in machine.tight.items():
        yield f"disk: {free_mb} MB free on {path}, and a run writes there: `du -xh --max-depth 2 {path}` says what takes it; make room"


def distinct(stores: Iterable[Store]) -> tuple[Store, ...]:
    """One folder for each file system, the topmost."""
    found: dict[str, Store] = {}
    for store in sorted(stores, key=lambda item: len(item.path)):
        found.setdefault(store.device, store)
    return tuple(found.values())


def _first(stores: Iterable[Store], needed_mb: int, images: str) -> dict[str, int]:
    """File system → what it has to hold: the system, Docker's volumes and images, containerd's images."""
    system, containerd, docker = (item.device for item in stores) if stores else ("", "", "")
    own = needed_mb - _SYSTEM_MB
    needs = {system: _SYSTEM_MB, docker: own if docker != system else needed_mb}
    if containerd not in needs:
        needs[containerd] = own // 2 if images == "containerd" else 0
    return needs


_GONE = ("tmpfs", "ramfs")
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")


def unfit(mounts: Iterable[Mount]) -> Iterator[str]:
    """File systems on which Docker starts and does not work, or loses what it stores. Pure."""
    for mount in mounts:
        if mount.kind in _GONE:
            yield f"disk: {mount.path} is in memory ({mount.kind}), so that a boot would empty it: mount a disk there"
        elif mount.kind in _REMOTE:
            yield f"disk: {mount.path} is on a network file system ({mount.kind}), on which Docker cannot store: mount a disk there"
        elif "ro" in mount.options:
            yield f"disk: {mount.path} is mounted read-only: mount -o remount,rw it, or mend the disk (dmesg says why)"
        elif "noexec" in mount.options:
            yield f"disk: {mount.path} is mounted noexec, which volumes inherit: take that out of /etc/fstab and remount it"

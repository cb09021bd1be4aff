"""What the real program needs of its container and a double would do without: memory, and folders to load code from."""

from __future__ import annotations

import mmap
import re
import tempfile
from pathlib import Path

from double.contract import Environment, Refused

# The container's own limit, as cgroup v2 and v1 show it inside.
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
ABORTED = 134  # SIGABRT, which V8 ends itself with
KILLED = 137  # SIGKILL, as from the kernel for memory
HEAP = (
    "FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory"
)


def limit() -> int | None:
    """The container's memory limit in MB, None where there is none."""
    for path in LIMITS:
        if path.exists():
            text = path.read_text().strip()
            return None if text == "max" else int(text) // 2**20
    return None


def memory(mb: int) -> None:
    """The container may use at least as many MB; else it ends as one that the kernel kills."""
    found = limit()
    if found is not None and found < mb:
        raise Refused(f"Killed: it needs {mb} MB of memory and is given {found} MB", KILLED)


def node_heap(mb: int, environment: Environment) -> None:
    """V8 has an old space of at least so many MB: what NODE_OPTIONS says, else half of the container's memory."""
    said = re.findall(r"--max[-_]old[-_]space[-_]size=(\d+)", environment.get("NODE_OPTIONS", ""))
    found = limit()
    heap = int(said[-1]) if said else None if found is None else found // 2
    if heap is not None and heap < mb:
        raise Refused(f"{HEAP}\nit needs {mb} MB of heap and has {heap} MB", ABORTED)


def executable(folder: str | Path) -> None:
    """Native code can be loaded from files in the folder, as dlopen does it: not where it is mounted noexec."""
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".node") as file:
        file.write(b"\0" * mmap.PAGESIZE)
        file.flush()
        try:
            mmap.mmap(file.fileno(), mmap.PAGESIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()
        except PermissionError as error:
            raise Refused(
                f"{file.name}: failed to map segment from shared object: {error.strerror}"
            ) from None

"""Rooms: file systems of the host that Docker, its containers, its runtime and runs write to, and how full they are; asked within StatusFact."""

from dataclasses import dataclass

from tasks.facts.stores import PLACES

# Percent, of files and of what is small.
FULL = 95


@dataclass(frozen=True)
class Room:
    """A file system of the host: where, MB that are free, percent of bytes and of files in use."""

    path: str
    free_mb: int
    used: int
    files_used: int


# Of those that are small, and that docker exec needs, only what is full.
QUESTION = f"""
df -k --output=target,avail,pcent,ipcent / /var/lib /var/lib/docker {" ".join(PLACES)} 2>/dev/null | sed 1d | sort -u | sed 's/^/disk /'
df -k --output=target,avail,pcent,ipcent /tmp /run 2>/dev/null |
    awk '$1 ~ "^/(tmp|run)$" && ($3 + 0 >= {FULL} || $4 + 0 >= {FULL}) {{print "disk", $0}}'
""".strip()


def room(line: str) -> Room:
    """Of a line. Raises ValueError."""
    path, free_kb, used, files_used = line.rsplit(maxsplit=3)
    return Room(
        path, int(free_kb) // 1024, int(used.rstrip("%")), int(files_used.rstrip("%").strip("-") or 0)
    )

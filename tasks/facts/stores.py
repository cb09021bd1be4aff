"""Stores: the folders that Docker stores in, or will, and file systems that are full, as MachineFact's lines say them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Store:
    """A folder that Docker stores in, or will, and its file system: its number, MB and files that it has room for.

    files: -1 where a file system makes room for them as it goes.
    """

    path: str
    device: str
    free_mb: int
    files: int


# Where a run writes, besides; what is less than this, in kB, is no room for it.
PLACES, _LEAST = ("/opt", "/root", "/var/log", "/vault"), 51200
QUESTION = rf"""
df -k --output=avail,target {" ".join(PLACES)} 2>/dev/null | sort -u | awk '$1 ~ /^[0-9]+$/ && $1 < {_LEAST} {{print "tight", $0; fflush()}}' &
root=$(sed -n 's/.*"data-root"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' /etc/docker/daemon.json 2>/dev/null)
set -- /var/lib /var/lib/containerd "${{root:-/var/lib/docker}}"
printf '%s\n' "$@" | {{
    for path; do
        until [ -e "$path" ]; do path=$(dirname "$path"); done
        set -- "$@" "$path"
        shift
    done
    {{ cat; stat -c %d "$@"; df -k --output=avail,iavail,itotal "$@" | sed 1d; }} |
        awk '{{line[NR] = $0}} END {{for (n = NR / 3; i++ < n;) print "store", line[i], line[n + i], line[2 * n + i]; fflush()}}'
}} &
""".strip()


def stores(values: Mapping[str, Sequence[str]]) -> tuple[Store, ...]:
    """The lines ``store PATH DEVICE FREE FILES ALL`` → Store. Raises ValueError for others."""
    return tuple(map(_store, values.get("store", ())))


def tight(values: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The lines ``tight FREE PATH`` → MB that are free, by path. Raises ValueError for others."""
    found = (line.split(maxsplit=1) for line in values.get("tight", ()))
    return {path: int(free_kb) // 1024 for free_kb, path in found}


def _store(line: str) -> Store:
    path, device, free_kb, files, all_files = line.rsplit(maxsplit=4)
    endless = all_files in ("0", "-")
    return Store(path, device, int(free_kb) // 1024, -1 if endless else int(files))

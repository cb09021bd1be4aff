"""Stores: the folders that Docker stores in, or will, as MachineFact's lines say them."""

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


def stores(values: Mapping[str, Sequence[str]]) -> tuple[Store, ...]:
    """The lines ``store PATH DEVICE FREE FILES ALL`` → Store. Raises ValueError for others."""
    return tuple(map(_store, values.get("store", ())))


def _store(line: str) -> Store:
    path, device, free_kb, files, all_files = line.rsplit(maxsplit=4)
    endless = all_files in ("0", "-")
    return Store(path, device, int(free_kb) // 1024, -1 if endless else int(files))

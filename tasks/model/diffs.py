"""Diffs: how two texts differ, as people read it; of env files and settings no more than names. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any


def unified(path: str, before: str | None, after: str | None) -> tuple[str, ...]:
    """The lines of a unified diff, None for a file that is not there; empty where nothing differs."""
    return tuple(
        line.rstrip("\n")
        for line in unified_diff(
            (before or "").splitlines(keepends=True),
            (after or "").splitlines(keepends=True),
            "/dev/null" if before is None else path,
            "/dev/null" if after is None else path,
        )
    )


@dataclass(frozen=True)
class Names:
    """Those that come, go, or get another value: variables of an env file, files of a tree."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Whatever differs."""
        return tuple(sorted((*self.added, *self.removed, *self.changed)))

    @property
    def lines(self) -> tuple[str, ...]:
        """One for each kind."""
        kinds = (("added", self.added), ("removed", self.removed), ("changed", self.changed))
        return tuple(f"{kind}: {', '.join(names)}" for kind, names in kinds if names)


def names(before: Mapping[str, str], after: Mapping[str, str]) -> Names:
    """before, after: name → what tells its values apart."""
    both = sorted({*before} & {*after})
    return Names(
        tuple(sorted({*after} - {*before})),
        tuple(sorted({*before} - {*after})),
        tuple(name for name in both if before[name] != after[name]),
    )


def paths(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths of settings that differ; not their values, which may be long, or nobody's business."""
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            yield from paths(old, new, f"{path}{key}.")
        else:
            yield f"{path}{key}"

"""Diffs: how two texts differ, as people read it; of env files no more than names. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff


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
    """Variables of an env file that come, go, or get another value."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """One for each kind."""
        kinds = (("added", self.added), ("removed", self.removed), ("changed", self.changed))
        return tuple(f"{kind}: {', '.join(names)}" for kind, names in kinds if names)


def names(before: Mapping[str, str], after: Mapping[str, str]) -> Names:
    """before, after: variable → what tells its values apart."""
    both = sorted({*before} & {*after})
    return Names(
        tuple(sorted({*after} - {*before})),
        tuple(sorted({*before} - {*after})),
        tuple(name for name in both if before[name] != after[name]),
    )

"""Generations: what each deploy that changed something has made, as the host remembers it; which one a rollback leads to. Pure.

A generation is its rendered files, the images that they name and the settings that they were made of. Of secrets it has the names
alone: values come from Vault, as they are now. The host's own settings (SSH, firewall, packages, swap) are no part of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.model import diffs, image_names

# Settings that files and containers are made of.
ROLLED = (
    "zone",
    "mirror_zones",
    "acme_email",
    "mail",
    "backup",
    "acme_directory",
    "acme_root",
    "services",
    "networks",
    "profile",
    "overrides",
    "forks",
    "mcp_servers",
    "vault_engine",
    "timezone",
)
# Those that say where secrets are, and copies: a rollback leads to no other place.
PLACES = ("vault_engine", "vault_address", "vault_mount")
PREVIOUS = "previous"
BROKEN = "what was noted of it is empty or was cut short (a power cut does that), so nothing goes back to it"


class NoSuch(ValueError):
    """There is no such generation; its text says which there are."""


@dataclass(frozen=True)
class Generation:
    """One of them. number: 1 for the first that was recorded. time: seconds since 1970. tree: its folder's name. files: path in it →
    SHA-256. images: reference → the image's number. schemas: database → digest of its tables. version: of the package, with its
    commit. of: that it went back to; 0 for a deploy. whole: its files are still there.
    point: to which second its databases come back as they were before it; 0 for none. failed: what went back from it, since it had
    failed; empty for a good one.
    """

    number: int
    time: float = 0
    tree: str = ""
    operator: str = ""
    version: str = ""
    of: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    schemas: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    point: float = 0
    failed: str = ""


@dataclass(frozen=True)
class Generations:
    """Those of a host, the oldest first. active: the files that are there now, path → SHA-256. held: numbers of images. tags:
    reference → number. schemas: as they are now. cut: service → ``to TIME`` or ``undo`` of a restore that nobody has ended.
    broken: numbers of those of which a power cut has left too little.
    """

    all: tuple[Generation, ...] = ()
    active: Mapping[str, str] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    schemas: Mapping[str, str] = field(default_factory=dict)
    cut: Mapping[str, str] = field(default_factory=dict)
    broken: tuple[int, ...] = ()

    @property
    def current(self) -> Generation | None:
        """The newest one whose files are the active ones; None after a deploy that did not come to its end, or an edit by hand."""
        return next((item for item in reversed(self.all) if item.files == self.active), None)

    def same(self, item: Generation) -> int:
        """The number of an earlier one with the same files; 0 for none."""
        return next(
            (each.number for each in self.all if each.files == item.files and each.number < item.number), 0
        )

    def lacking(self, item: Generation) -> tuple[str, ...]:
        """What of it is no longer on the host, in words; none where it can be gone back to."""
        gone = sorted(name for name, number in item.images.items() if number not in self.held)
        return (*(() if item.whole else ("its files",)), *(f"the image {name}" for name in gone))


def chosen(found: Generations, to: str) -> Generation:
    """The one that TO names. ``previous``: the one before the newest that has other files, and that nothing went back from; the newest
    itself where that is not what is active, and the one that is, where a rollback to it was cut short. Raises NoSuch.
    """
    if not found.all:
        raise NoSuch("no generation is recorded on it yet: a deploy that comes to its end records one")
    if to != PREVIOUS:
        by_number = {str(item.number): item for item in found.all}
        if to in map(str, found.broken):
            raise NoSuch(f"TO={to}: {BROKEN}; there are {', '.join(by_number)}")
        if to not in by_number:
            raise NoSuch(f"TO={to}: there is no such generation; there are {', '.join(by_number)}")
        return by_number[to]
    newest, current = found.all[-1], found.current
    if current not in (None, newest) and not current.failed:
        return current
    good = [
        item for item in found.all if not item.failed and (current is None or item.files != current.files)
    ]
    if not good:
        only = "the only one" if len(found.all) < 2 else "the only good one"
        raise NoSuch(f"generation {newest.number} is {only}: there is none before it")
    return good[-1]


def moved(item: Generation, now: Mapping[str, str]) -> tuple[str, ...]:
    """Databases whose tables are others than when it was made, of those that it had."""
    return tuple(sorted(name for name, digest in item.schemas.items() if now.get(name, digest) != digest))


def differences(before: Generation, after: Generation) -> Iterator[str]:
    """What differs, in words: settings by their path, images, files where they are few."""
    yield from diffs.paths(before.settings, after.settings)
    olds, news = (_repositories(item.images) for item in (before, after))
    for name in diffs.names(olds, news).all:
        yield f"image {name}: {olds.get(name, 'none')} → {news.get(name, 'none')}"
    changed = diffs.names(before.files, after.files).all
    if changed:
        yield f"files: {', '.join(changed)}" if len(changed) <= _MOST else f"{len(changed)} files"
    if before.version != after.version:
        yield f"package: {before.version} → {after.version}"


_MOST = 4


def _repositories(images: Mapping[str, str]) -> dict[str, str]:
    """Repository → its tags, or the digest's beginning."""
    found: dict[str, list[str]] = {}
    for reference in sorted(images):
        name, tag, digest = image_names.parted(reference)
        found.setdefault(name, []).append(tag or digest[:19])
    return {name: ", ".join(tags) for name, tags in found.items()}


def reading(values: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Lines → the first word of each, and the rest."""
    for line in values:
        key, _, rest = line.partition(" ")
        yield key, rest

"""Tags: which of a registry's are newer than ours, of the same line and of later ones. Only tags of one scheme are compared.

7.4.11-alpine has a version, 7.4.11, and a suffix whose words all have to be the same: 16.1 and 16.1-alpine are other
builds. Numbers in the suffix (pg16, alpine3.22) name another line. Versions are compared as PEP 440 has them, which
reads those of all images we have, and 16.0-20250909 as the build of that day.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

# From three numbers on a version is complete, and what has more is its patch; with fewer it may be a tag that moves.
_COMPLETE = 3
_NUMBER = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Tag:
    """A tag, taken apart. suffix: what follows the version, its numbers taken out into ``numbers``."""

    text: str
    prefix: str
    version: Version
    suffix: str = ""
    numbers: tuple[Version, ...] = ()

    def like(self, other: "Tag") -> bool:
        """Whether both are of one scheme, so that one of them is the newer one."""
        sizes = {min(len(item.version.release), _COMPLETE) for item in (self, other)}
        daily = {item.version.post is None for item in (self, other)}
        same = (self.prefix, self.suffix, len(self.numbers)) == (
            other.prefix,
            other.suffix,
            len(other.numbers),
        )
        return (
            same
            and len(sizes) == len(daily) == 1
            and self.version.is_prerelease >= other.version.is_prerelease
        )

    def line(self, numbers: int = 0) -> tuple[tuple[int, ...], tuple[Version, ...]]:
        """What stays the same within a line. numbers: as in Upstream.line."""
        release = self.version.release
        first = next((place for place, number in enumerate(release) if number), len(release) - 1)
        return release[: numbers or first + 1], self.numbers

    @property
    def order(self) -> tuple[Version, tuple[Version, ...]]:
        """By which the newest is found."""
        return self.version, self.numbers


@dataclass(frozen=True)
class Newer:
    """Newer tags, the newest first. following: the newest of each later line, the nearest line first."""

    same: tuple[str, ...] = ()
    following: tuple[str, ...] = ()


def parsed(text: str) -> Tag | None:
    """The tag; None for one without a version, like latest."""
    prefix = text[: text.startswith("v")]
    head, dash, suffix = text.removeprefix("v").partition("-")
    for version, rest in ((text.removeprefix("v"), ""), (head, dash + suffix)):
        if not re.match(r"\d", version):
            return None
        try:
            found = Version(version)
        except InvalidVersion:
            continue
        numbers = tuple(map(Version, _NUMBER.findall(rest)))
        return Tag(text, prefix, found, _NUMBER.sub("#", rest), numbers)
    return None


def newer(ours: str, every: Iterable[str], numbers: int = 0) -> Newer:
    """What of a registry's tags is newer than ours; nothing where ours names no version. numbers: as in Upstream.line."""
    mine = parsed(ours)
    if mine is None:
        return Newer()
    line = mine.line(numbers)
    later = [
        tag
        for tag in map(parsed, every)
        if tag and mine.like(tag) and tag.version >= mine.version and _none_less(tag.numbers, mine.numbers)
    ]
    same = [tag for tag in later if tag.line(numbers) == line and tag.version > mine.version]
    lines: dict[object, Tag] = {}
    for tag in sorted(later, key=lambda tag: tag.order):
        if tag.line(numbers) != line:
            lines[tag.line(numbers)] = tag
    following = sorted(lines.values(), key=lambda tag: tag.order)
    return Newer(_newest_first(same), tuple(tag.text for tag in following))


def later(text: str, than: str) -> bool:
    """Whether a tag is a newer one than the other, and of its scheme."""
    found = newer(than, [text])
    return bool(found.same or found.following)


def is_of(text: str, line: str) -> bool:
    """Whether a tag is of that line: a version that begins so, number by number, or a word of its suffix."""
    tag = parsed(text)
    if tag is None:
        return False
    head, _, suffix = text.removeprefix("v").partition("-")
    return f"{head}.".startswith(f"{line}.") or line in suffix.split("-")


def _newest_first(found: list[Tag]) -> tuple[str, ...]:
    return tuple(tag.text for tag in sorted(found, key=lambda tag: tag.order, reverse=True))


def _none_less(theirs: tuple[Version, ...], ours: tuple[Version, ...]) -> bool:
    return all(one >= other for one, other in zip(theirs, ours, strict=True))

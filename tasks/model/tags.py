"""Tags: which of a registry's are newer than ours, of the same line and of later ones. Only tags of one scheme are compared.

7.4.11-alpine has a version, 7.4.11, and a suffix whose words all have to be the same: 16.1 and 16.1-alpine are other
builds. Numbers in the suffix (pg16, alpine3.22) name another line. Versions are compared as PEP 440 has them, which
reads those of all images we have, and 16.0-20250909 as the build of that day. Hosts compare by this very file, with their
own Python and nothing else (files/outdated.py).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# From three numbers on a version is complete, and what has more is its patch; with fewer it may be a tag that moves.
_COMPLETE = 3
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_VERSION = re.compile(
    r"(?P<release>[0-9]+(?:\.[0-9]+)*)"
    r"(?:[-_.]?(?P<early>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<early_number>[0-9]+)?)?"
    r"(?P<post>-(?P<build>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>[0-9]+)?)?"
    r"(?P<dev>[-_.]?dev[-_.]?(?P<dev_number>[0-9]+)?)?",
    re.IGNORECASE,
)
# A development's release comes before all of its early ones.
_DEV, _FINAL = -1, 3
_EARLY = {"alpha": 0, "a": 0, "beta": 1, "b": 1, "preview": 2, "pre": 2, "c": 2, "rc": 2}


@dataclass(frozen=True, order=True)
class Version:
    """A version without epoch and local part, which no tag has. key: by what it is compared. early: whether it is no final one.

    daily: whether it is a build of its release (post).
    """

    key: tuple[tuple[int, ...], tuple[int, ...]]
    release: tuple[int, ...] = field(compare=False)
    early: bool = field(compare=False)
    daily: bool = field(compare=False)


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
        daily = {item.version.daily for item in (self, other)}
        same = (self.prefix, self.suffix, len(self.numbers)) == (
            other.prefix,
            other.suffix,
            len(other.numbers),
        )
        return same and len(sizes) == len(daily) == 1 and self.version.early >= other.version.early

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
        if found := parsed_version(version):
            numbers = tuple(filter(None, map(parsed_version, _NUMBER.findall(rest))))
            return Tag(text, prefix, found, _NUMBER.sub("#", rest), numbers)
    return None


def parsed_version(text: str) -> Version | None:
    """The version; None for what is none."""
    found = _VERSION.fullmatch(text)
    if not found:
        return None
    release = tuple(map(int, found["release"].split(".")))
    post = int(found["build"] or found["post_number"] or 0) if found["post"] else -1
    stage, number = _FINAL, 0
    if found["early"]:
        stage, number = _EARLY[found["early"].lower()], int(found["early_number"] or 0)
    elif found["dev"] and not found["post"]:
        stage = _DEV
    dev = (0, int(found["dev_number"] or 0)) if found["dev"] else (1, 0)
    return Version(
        (_short(release), (stage, number, post, *dev)),
        release,
        bool(found["early"] or found["dev"]),
        bool(found["post"]),
    )


def _short(release: tuple[int, ...]) -> tuple[int, ...]:
    """1.0 is 1."""
    last = next((place for place in range(len(release), 0, -1) if release[place - 1]), 0)
    return release[:last]


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

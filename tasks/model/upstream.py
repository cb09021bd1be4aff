"""Upstream: what the catalogue knows of the programs in images beside what registries say: release notes, ends of life."""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.model import image_names


@dataclass(frozen=True)
class End:
    """When upstream ends a line, and where it says so. of: the beginning of a version ("7.4"), or a word of a tag ("pg16").

    on, read: dates as 2026-11-30; read: when the source said so.
    """

    of: str
    on: str
    source: str
    read: str


@dataclass(frozen=True)
class Upstream:
    """image: without a tag. notes: where release notes are, ``{version}`` and ``{major}`` replaced.

    line: how many numbers of a version make its line; 0: those up to the first that is not 0, as semantic versions have it.
    """

    image: str
    notes: str
    line: int = 0
    ends: tuple[End, ...] = ()


def of(image: str, upstreams: Iterable[Upstream]) -> Upstream | None:
    """Whose program an image has, from wherever it is pulled."""
    name = image_names.parted(image)[0]
    return next((item for item in upstreams if f"/{name}".endswith(f"/{item.image}")), None)

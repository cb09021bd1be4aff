"""Line: each recovery, and each restore of a whole server, goes on with its log on a new one (Postgres: a timeline), and leaves the
one before it at some place. What was written there after that place leads nowhere else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_LEFT = re.compile(r"^(\d+)\t([0-9A-F]+/[0-9A-F]+)\t", re.MULTILINE)


@dataclass(frozen=True)
class Line:
    """left: each line before it → where that was left."""

    number: int = 1
    left: Mapping[int, int] = field(default_factory=dict)

    def goes_on_from(self, segment: str, place: str) -> bool:
        """Whether its log leads on from a backup that ended in that segment, at that place (``0/3000110``)."""
        number = int(segment[:8], 16)
        return number == self.number or (number in self.left and _bytes(place) <= self.left[number])


def line_of(number: int, history: str) -> Line:
    """From what Postgres has written when it began. Raises ValueError for anything else."""
    left = _LEFT.findall(history)
    if number > 1 and not left:
        raise ValueError(f"the log's line {number} does not say where it begins")
    return Line(number, {int(before): _bytes(place) for before, place in left})


def _bytes(place: str) -> int:
    high, _, low = place.partition("/")
    return (int(high, 16) << 32) + int(low, 16)

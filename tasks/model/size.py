"""Size: what a container may take of a host, and what it does take."""

import math
from dataclasses import dataclass

# How many processes a container may have.
PROCESSES = 512


@dataclass(frozen=True)
class Size:
    """Limits of one container, MB of memory and cores, and what it takes of a host: MB in use, GB stored, GB of its image.

    used_mb: what the real program takes in ordinary use, its source in a comment; 0 where nobody knows, which counts as
    the limit. share: what it takes beside that of its limit, since its settings are made from it (a JVM's heap).
    least_mb: the limit below which it does not start, where that is more than what it uses. image_gb: unpacked; an estimate
    where no comment says how it was seen.
    """

    memory_mb: int
    cpus: float
    disk_gb: float = 0.1
    used_mb: int = 0
    share: float = 0.0
    least_mb: int = 0
    image_gb: float = 0.0

    @property
    def least(self) -> int:
        """MB below which a limit kills it."""
        return max(self.least_mb, math.ceil(self.used_mb / (1 - self.share)))

    @property
    def used(self) -> int:
        """MB that it takes of its host, at most the limit."""
        return min(self.memory_mb, math.ceil(self.used_mb + self.share * self.memory_mb) or self.memory_mb)

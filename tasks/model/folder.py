"""A folder of the host that belongs to a service, as a volume does."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Folder:
    """A folder of the host that is the service's own, under the same path in the container; why it is no volume.

    was: the volume that earlier releases had in its place: what it holds comes along, and it is kept. made: what Docker
    has made there for what such a release started. backup, lost, omits: as a volume's (volume.py).
    """

    path: str
    why: str
    backup: Literal["", "files"] = ""
    lost: str = ""
    omits: tuple[str, ...] = ()
    adopted: str = "what it holds is used as it is"
    was: str = ""
    made: tuple[str, ...] = ()

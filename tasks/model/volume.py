"""A named Docker volume of a service, how what it holds is backed up, and how files are proven against the rows."""

from dataclasses import dataclass
from typing import Literal

# The folder of a database's server is never copied: it goes its own way. files: restic, within a minute of a change;
# postgres: pgBackRest and dumps; raft: Vault's snapshots; redis: a file that Redis itself has written.
Kind = Literal["", "files", "postgres", "raft", "redis"]


@dataclass(frozen=True)
class Volume:
    """A named Docker volume; ``backup`` says how what it holds is backed up, or ``lost`` why that is not needed.

    omits: patterns of what is made anew there, and not copied.
    adopted: what it means for the service when it was there before us, with whatever it holds. reads: it is another
    service's, and only read.
    """

    name: str
    path: str
    backup: Kind = ""
    lost: str = ""
    adopted: str = "what it holds is used as it is"
    omits: tuple[str, ...] = ()
    reads: bool = False


@dataclass(frozen=True)
class Files:
    """Proves a service's files against its rows: ``sql``, asked in every database that its role owns, yields path and
    checksum of each file that a row needs.

    root: what the paths are below: a volume and the folder in it, ``{database}`` replaced. digest: how a checksum is made
    and written.
    """

    sql: str
    root: str
    digest: Literal["sha1-hex", "md5-base64"]

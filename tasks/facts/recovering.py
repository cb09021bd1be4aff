"""Recovering: how far a host has come out of its bucket, what there is of its files, and what was found when they came back."""

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.backups import FAR
from tasks.facts.restorable import KEEPING, Snapshot, snapshots
from tasks.rendering.render import CURRENT

NOTES = "/var/lib/smarteros/recover"
RECOVER = f"{CURRENT}/restore/recover.sh"


class RecoveringFact(FactBase[frozenset[str]]):
    """The parts that have begun or are done (``begin`` is the first), and ``to TIME`` where it is to one; none on a host that
    nobody recovers.
    """

    def command(self) -> str:
        """Prints each on a line."""
        return f"ls {NOTES} 2>/dev/null && sed -n 's/^./to &/p' {NOTES}/begin || true"

    @staticmethod
    def default() -> frozenset[str]:
        """Nobody has begun."""
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        """As they are."""
        return frozenset(output)


class SnapshotsFact(FactBase[tuple[Snapshot, ...]]):
    """Restic's snapshots of services; asks the bucket."""

    patience = FAR

    def command(self) -> str:
        """Prints its JSON."""
        return f"bash {RECOVER} list"

    @staticmethod
    def default() -> tuple[Snapshot, ...]:
        """None."""
        return ()

    def process(self, output: list[str]) -> tuple[Snapshot, ...]:
        """JSON → snapshots. Raises FactProcessError for output that is not restic's."""
        try:
            return tuple(snapshots(["".join(output)]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FactProcessError(f"cannot read which copies of files there are: {error}") from None


class RecoveredFact(FactBase[tuple[str, ...]]):
    """What a recovery has to say."""

    def command(self) -> str:
        """Prints its lines, part by part."""
        return f"cat {KEEPING}/recover.*.report 2>/dev/null || true"

    @staticmethod
    def default() -> tuple[str, ...]:
        """Nothing."""
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        """As they are."""
        return tuple(output)


__all__ = ["NOTES", "RECOVER", "RecoveredFact", "RecoveringFact", "SnapshotsFact"]

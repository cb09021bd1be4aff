"""Recovering: how far a host has come out of its bucket."""

from pyinfra.api import FactBase

NOTES = "/var/lib/smarteros/recover"


class RecoveringFact(FactBase[frozenset[str]]):
    """The parts that have begun or are done (``begin`` is the first), none on a host that nobody recovers."""

    def command(self) -> str:
        """Prints a name on each line."""
        return f"ls {NOTES} 2>/dev/null || true"

    @staticmethod
    def default() -> frozenset[str]:
        """Nobody has begun."""
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        """One name a line."""
        return frozenset(output)


__all__ = ["NOTES", "RecoveringFact"]

"""Leftovers: links of ours in root's folders, those of services that are no longer listed among them."""

from pyinfra.api import FactBase

from tasks.facts.files import TEXT
from tasks.rendering.render import ROOT


class LinksFact(FactBase[frozenset[str]]):
    """Every link that leads into /opt/smarteros, of those that an operator finds in /root."""

    def command(self) -> str:
        """One path a line."""
        return (
            f"find /root /root/dkcompose /root/env-templates -maxdepth 1 -type l -lname '{ROOT}/*' 2>/dev/null"
            f" | {TEXT} || true"
        )

    @staticmethod
    def default() -> frozenset[str]:
        """None."""
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        """Lines → paths."""
        return frozenset(line for line in output if line)

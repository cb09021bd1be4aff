"""Leftovers: links of ours in root's folders, those of services that are no longer listed among them; whether a Vault has left data."""

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


class VaultGoneFact(FactBase[bool]):
    """Whether there is no volume of Vault's, where that can be told: a system that was set up anew may have kept Docker's."""

    def command(self) -> str:
        """Prints ``gone``."""
        return (
            "[ ! -e /var/lib/docker/volumes/vault_data ] || exit 0\n"
            "command -v docker >/dev/null || { echo gone; exit; }\n"
            "volumes=$(docker volume ls -q 2>/dev/null) || exit 0\n"
            'echo "$volumes" | grep -qx vault_data || echo gone'
        )

    @staticmethod
    def default() -> bool:
        """Nothing is known to be gone."""
        return False

    def process(self, output: list[str]) -> bool:
        """Whether it says so."""
        return output == ["gone"]

"""Names: where domain names lead, as the host's own resolver says, and which addresses the host has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote

from pyinfra.api import FactBase


@dataclass(frozen=True)
class Names:
    """leads: name → its addresses. own: the host's."""

    leads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    own: frozenset[str] = frozenset()


class NamesFact(FactBase[Names]):
    """Names, of those that are asked for."""

    def command(self, names: tuple[str, ...]) -> str:
        """Prints ``name <name> <address>`` and ``own <address>``; all names at once, five seconds each."""
        asked = "\n".join(
            f"timeout 5 getent ahosts {quote(name)} | sed -un 's/ .*STREAM.*//p' | sed -u {quote(f's/^/name {name} /')} &"
            for name in names
        )
        return f'{asked}\nip -o address show scope global | awk \'{{sub("/.*", "", $4); print "own", $4}}\'\nwait\ntrue'

    @staticmethod
    def default() -> Names:
        """Nothing is known."""
        return Names()

    def process(self, output: list[str]) -> Names:
        """Lines → Names."""
        rows = [line.split() for line in output]
        pairs = [(row[1], row[2]) for row in rows if row[:1] == ["name"] and len(row) == 3]
        leads = {name: frozenset(found for other, found in pairs if other == name) for name, _ in pairs}
        return Names(leads, frozenset(row[1] for row in rows if row[:1] == ["own"] and len(row) == 2))

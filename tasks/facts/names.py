"""Names: where domain names lead, as the host's own resolver says, and which addresses the host has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote

from pyinfra.api import FactBase


@dataclass(frozen=True)
class Names:
    """leads: name → its addresses. unasked: names that no resolver has answered about. own: the host's addresses."""

    leads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unasked: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()


# Not getent, which ends alike where there is no such name and where nobody could say so.
_ASK = """
ask() {
    timeout 5 perl -MSocket=:addrinfo,SOCK_STREAM -e '
        my ($error, @found) = getaddrinfo($ARGV[0], "", {socktype => SOCK_STREAM});
        for (@found) {
            my ($wrong, $address) = getnameinfo($_->{addr}, NI_NUMERICHOST, NIx_NOSERV);
            syswrite(STDOUT, "name $ARGV[0] $address\n");
        }
        exit($error == EAI_AGAIN || $error == EAI_FAIL)' "$1" 2>/dev/null || echo "unasked $1"
}
""".strip()


class NamesFact(FactBase[Names]):
    """Names, of those that are asked for."""

    def command(self, names: tuple[str, ...]) -> str:
        """Prints ``name <name> <address>``, ``unasked <name>`` and ``own <address>``; all at once, five seconds each."""
        asked = "\n".join(f"ask {quote(name)} &" for name in names)
        own = """ip -o address show scope global | awk '{sub("/.*", "", $4); print "own", $4}'"""
        return f"{_ASK}\n{asked}\n{own}\nwait\ntrue"

    @staticmethod
    def default() -> Names:
        """Nothing is known."""
        return Names()

    def process(self, output: list[str]) -> Names:
        """Lines → Names."""
        rows = [line.split() for line in output]
        pairs = [(row[1], row[2]) for row in rows if row[:1] == ["name"] and len(row) == 3]
        leads = {name: frozenset(found for other, found in pairs if other == name) for name, _ in pairs}
        unasked, own = (
            frozenset(row[1] for row in rows if row[:1] == [key] and len(row) == 2)
            for key in ("unasked", "own")
        )
        return Names(leads, unasked, own)

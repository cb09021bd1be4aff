"""Swap: what the host has, ours among it, asked within MachineFact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.rendering.render import ROOT

FILE = "/var/lib/smarteros/swap"
UNIT = "/etc/systemd/system/var-lib-smarteros-swap.swap"  # systemd wants the file's path for a name
LEFT = f"{ROOT}/swap-left"


@dataclass(frozen=True)
class Swap:
    """active: file or device → MB. enabled: ours is at boot, too. left: MB of ours that this host could not have, and why."""

    active: Mapping[str, int] = field(default_factory=dict)
    enabled: bool = False
    left: tuple[int, str] = (0, "")

    @property
    def others(self) -> int:
        """MB of swap that is not ours."""
        return sum(mb for path, mb in self.active.items() if path != FILE)


# A page of each holds its description.
QUESTION = f"""
awk 'NR > 1 {{print "swap", int(($3 + 4) / 1024), $1}}' /proc/swaps 2>/dev/null
[ -e /etc/systemd/system/swap.target.wants/{UNIT.rpartition("/")[2]} ] && echo "swap_enabled yes"
sed -u 's/^/swap_left /' {LEFT} 2>/dev/null
""".strip()


def swap(values: Mapping[str, Sequence[str]]) -> Swap:
    """The question's lines → Swap. Raises ValueError for others."""
    pairs = (line.split(maxsplit=1) for line in values.get("swap", ()))
    mb, _, why = next(iter(values.get("swap_left", ())), "0 ").partition(" ")
    return Swap({path: int(size) for size, path in pairs}, "swap_enabled" in values, (int(mb), why))

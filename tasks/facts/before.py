"""Before: what ``files/keep.sh`` has noted of the host as it was before us, for who undoes it."""

from dataclasses import dataclass

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.kept import BEFORE


@dataclass(frozen=True)
class Index:
    """Paths, by what was there: a file that is kept, nothing, a file of an earlier release; path, mode and owner.

    lost: kept once, and no longer there.
    """

    kept: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    modes: tuple[tuple[str, str, str], ...] = ()
    lost: tuple[str, ...] = ()


class BeforeFact(FactBase[Index]):
    """Index; empty on a host that nothing of ours was written to."""

    def command(self) -> str:
        """Prints the index's lines, and ``lost PATH`` for a file that somebody has removed."""
        return f"""
cat {BEFORE}/index 2>/dev/null
sed -n 's/^kept //p' {BEFORE}/index 2>/dev/null | while read -r path; do
    [ -e "{BEFORE}/files$path" ] || [ -L "{BEFORE}/files$path" ] || echo "lost $path"
done
true
""".strip()

    @staticmethod
    def default() -> Index:
        """Nothing is known."""
        return Index()

    def process(self, output: list[str]) -> Index:
        """Lines → Index. Raises FactProcessError for a line that is none of ours."""
        found: dict[str, list[str]] = {}
        modes = []
        for line in filter(None, output):
            kind, _, path = line.partition(" ")
            words = path.split(" ", 2)
            if kind == "mode" and len(words) == 3:
                modes.append((words[2], words[0], words[1]))
            elif kind in ("kept", "new", "earlier", "lost") and path.startswith("/"):
                found.setdefault(kind, []).append(path)
            else:
                raise FactProcessError(f"cannot read what was kept of the host: {line!r}")
        lost = tuple(found.get("lost", ()))
        return Index(
            kept=tuple(path for path in found.get("kept", ()) if path not in lost),
            new=tuple(found.get("new", ())),
            earlier=tuple(found.get("earlier", ())),
            modes=tuple(modes),
            lost=lost,
        )

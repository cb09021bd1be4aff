"""Before: what ``files/keep.sh`` has noted of the host as it was before us, for who undoes it."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import engine
from tasks.facts.engine import Engine
from tasks.facts.kept import BEFORE, DAEMON_JSON


@dataclass(frozen=True)
class Index:
    """Paths, by what was there: a file that is kept, nothing, a file of an earlier release; path, mode and owner.

    lost: kept once, and no longer there. logins: files of users' keys → the user, mode and owner of their folder, ``-`` for none.
    """

    kept: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    modes: tuple[tuple[str, str, str], ...] = ()
    lost: tuple[str, ...] = ()
    logins: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)


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
        modes, logins = [], {}
        for line in filter(None, output):
            kind, _, path = line.partition(" ")
            words = path.split(" ", 2)
            if kind == "mode" and len(words) == 3:
                modes.append((words[2], words[0], words[1]))
            elif kind == "login" and len(more := path.split(" ", 3)) == 4:
                logins[more[3]] = (more[0], more[1], more[2])
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
            logins=logins,
        )


class DaemonBeforeFact(FactBase[tuple[str, Engine]]):
    """The daemon.json of before, and the Docker that would restart with it."""

    def command(self) -> str:
        """Prints ``text`` in base64, and Docker's lines."""
        return f'echo "text $(base64 -w0 2>/dev/null <{BEFORE}/files{DAEMON_JSON})"\n{engine.QUESTION}\ntrue'

    @staticmethod
    def default() -> tuple[str, Engine]:
        """Nothing is known."""
        return "", Engine()

    def process(self, output: list[str]) -> tuple[str, Engine]:
        """Lines → both. Raises FactProcessError for a line that is cut."""
        values: dict[str, list[str]] = {}
        for key, _, value in (line.partition(" ") for line in output):
            values.setdefault(key, []).append(value.strip())
        try:
            text = b64decode((values.get("text") or [""])[0]).decode(errors="replace")
            return text, engine.engine(values)
        except (ValueError, IndexError) as error:
            raise FactProcessError(f"cannot read what Docker had before: {error}") from None

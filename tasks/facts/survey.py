"""Survey: what people have made of a host that ours comes to, or finds changed: its Docker, what stands in apt's way,
where Docker stores and what it pulls with. A run with nothing to do never asks for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from shlex import quote

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import engine, packages, pulling
from tasks.facts.engine import Engine
from tasks.facts.packages import Packages
from tasks.facts.pulling import Pulling


@dataclass(frozen=True)
class Mount:
    """The file system below a path. device: its number."""

    path: str
    kind: str
    options: tuple[str, ...]
    device: str


@dataclass(frozen=True)
class Survey:
    """A host as it was. mounts: path → what is mounted there."""

    engine: Engine = field(default_factory=Engine)
    packages: Packages = field(default_factory=Packages)
    mounts: tuple[Mount, ...] = ()
    pulling: Pulling = field(default_factory=Pulling)


class SurveyFact(FactBase[Survey]):
    """Survey; names: packages that may have to be installed."""

    patience = 300  # apt reads its lists more than once

    def command(self, names: Sequence[str], stores: Sequence[str]) -> str:
        """Prints ``key value`` lines. stores: folders, there or not yet, whose file systems are asked for."""
        mounts = _MOUNTS.format(" ".join(map(quote, stores)))
        return "\n".join((engine.QUESTION, pulling.QUESTION, packages.question(names), mounts, "true"))

    @staticmethod
    def default() -> Survey:
        """Nothing is known."""
        return Survey()

    def process(self, output: list[str]) -> Survey:
        """Lines → Survey. Raises FactProcessError for a line that is cut."""
        values: dict[str, list[str]] = {}
        for line in output:
            key, _, value = line.partition(" ")
            values.setdefault(key, []).append(value.strip())
        try:
            mounts = tuple(_mount(line) for line in values.get("mount", ()))
            return Survey(engine.engine(values), packages.packages(values), mounts, pulling.pulling(values))
        except (ValueError, IndexError) as error:
            raise FactProcessError(f"cannot read what the host had before: {error}") from None


_MOUNTS = """
for path in {}; do
    real=$path
    until [ -e "$real" ]; do real=$(dirname "$real"); done
    echo "mount $path $(stat -c %d "$real") $(findmnt -n -o FSTYPE,OPTIONS -T "$real" | tail -n 1)"
done
""".strip()


def _mount(line: str) -> Mount:
    path, device, kind, options = line.rsplit(maxsplit=3)
    return Mount(path, kind, tuple(options.split(",")), device)


class RealFact(FactBase[str]):
    """The path that another one leads to, there or not yet."""

    def command(self, path: str) -> str:
        """Follows links."""
        return f"readlink -m -- {quote(path)}"

    @staticmethod
    def default() -> str:
        """Nothing is known."""
        return ""

    def process(self, output: list[str]) -> str:
        """The line."""
        return output[0] if output else ""


class ValidFact(FactBase[str]):
    """Why dockerd would not start with these settings and flags; empty when it would, or where there is none."""

    def command(self, text: str, flags: Sequence[str]) -> str:
        """Asks dockerd itself, which changes nothing. What it cannot see it says only when it starts."""
        words = " ".join(("dockerd", *map(quote, flags), "--validate --config-file /dev/stdin"))
        return (
            f"command -v dockerd >/dev/null || exit 0\n"
            f"said=$(printf '%s\\n' {quote(text)} | {words} 2>&1) || printf '%s\\n' \"$said\" | grep -v '^See ' | tail -n 1 | sed 's|.*with file /dev/stdin: ||'"
        )

    @staticmethod
    def default() -> str:
        """Nothing speaks against them."""
        return ""

    def process(self, output: list[str]) -> str:
        """The last line is the reason."""
        return output[-1].strip() if output else ""

"""Updating: what the host has noted of the runs so far, and of the last restore point."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.last_run import Deploy, runs
from tasks.rendering.render import RECORDS


@dataclass(frozen=True)
class Updating:
    """runs: the newest last, the present one among them. point: seconds since 1970, to which databases come back; 0 for none. clock: the host's."""

    runs: Sequence[Deploy] = ()
    point: float = 0
    clock: float = 0


class UpdatingFact(FactBase[Updating]):
    """Updating."""

    def command(self) -> str:
        """Prints ``clock``, ``point``, ``run`` and ``unfinished`` lines."""
        return f"""
echo "clock $(date +%s)"
sed 's/^/point /' {RECORDS}/.point 2>/dev/null
tail -n 50 /var/log/smarteros/runs.log 2>/dev/null | sed 's/^/run /'
sed 's/^/unfinished /' /var/log/smarteros/.unfinished 2>/dev/null
true
""".strip()

    @staticmethod
    def default() -> Updating:
        """Nothing."""
        return Updating()

    def process(self, output: list[str]) -> Updating:
        """Lines → Updating. Raises FactProcessError for output that no host prints."""
        values: dict[str, list[str]] = {}
        for line in output:
            key, _, value = line.partition(" ")
            values.setdefault(key, []).append(value)
        try:
            point = values.get("point", ["0"])[-1].split(" ")[0]
            return Updating(tuple(runs(values)), float(point), float(values["clock"][0]))
        except (ValueError, KeyError, IndexError) as error:
            raise FactProcessError(f"cannot read what the host has noted of its runs: {error}") from None

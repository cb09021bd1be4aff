"""Drift: what differs on the host from what the last deploy made, as the program says that the deploy left there (files/drift)."""

import json
from dataclasses import dataclass
from shlex import quote

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.model.targets import target
from tasks.rendering.drift_files import PROGRAM
from tasks.rendering.render import CURRENT

# What the daily look has left, one line.
FOUND = "/var/lib/smarteros/drift/found.json"


@dataclass(frozen=True)
class Difference:
    """kind: file, container, volume, unit, firewall, kernel, user, package, redis. what: how it differs. since: UTC, empty where nobody knows."""

    kind: str
    name: str
    what: str
    since: str = ""


@dataclass(frozen=True)
class Drift:
    """noted: when a deploy last noted what it had made, empty where none has. number, generation: of its record, and its files' name.
    checked: when the host last looked by itself (seconds).
    """

    noted: str = ""
    number: int = 0
    generation: str = ""
    checked: int = 0
    differences: tuple[Difference, ...] = ()


class DriftFact(FactBase[Drift]):
    """Drift, looked at now; nothing is written."""

    patience = 900  # the program gives each of its own questions a minute

    def command(self) -> str:
        """Prints a line of JSON; nothing on a host without the program."""
        program = f"{CURRENT}/{PROGRAM}"
        gone = quote(
            f"the files of the active generation are gone ({CURRENT}): {target('deploy')} writes them anew"
        )
        return f"[ -e {CURRENT} ] || [ ! -L {CURRENT} ] || fail {gone}\n[ ! -e {quote(program)} ] || python3 -I -B {quote(program)} look"

    @staticmethod
    def default() -> Drift:
        """Nothing was noted."""
        return Drift()

    def process(self, output: list[str]) -> Drift:
        """JSON → Drift. Raises FactProcessError for what the program does not print."""
        try:
            return drift("".join(output))
        except ValueError as error:
            raise FactProcessError(f"cannot read what differs: {error}") from None


def found(text: str) -> Drift:
    """What the daily look has left; nothing of what a power cut has left of that."""
    try:
        return drift(text)
    except ValueError:
        return Drift()


def drift(text: str) -> Drift:
    """The program's JSON; nothing of none. Raises ValueError."""
    if not text.strip():
        return Drift()
    try:
        found = json.loads(text)
        return Drift(
            found["noted"] or "",
            found["number"] or 0,
            found["generation"] or "",
            int(found.get("checked", 0)),
            tuple(
                Difference(item["kind"], item["name"], item["what"], item["since"] or "")
                for item in found["differences"]
            ),
        )
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None

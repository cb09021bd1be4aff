"""Last run: which generation a host has and since when, who deployed last and how that ended, whether it was rolled back, whether it
waits for a reboot; asked within StatusFact, and by plans.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.rendering.render import CURRENT, RECORDS


@dataclass(frozen=True)
class Deploy:
    """operator: user@machine. started: seconds since 1970. result: ``ok``, ``failed``, ``interrupted`` or ``under way``.
    at: where it was, when it did not come to its end. changed: names of the operations that changed something. command: what was asked
    for, by its target. about: which service, or ``all``; empty where it was the whole host.
    """

    operator: str
    started: float
    seconds: int
    result: str
    generation: str = ""
    at: str = ""
    changed: tuple[str, ...] = ()
    command: str = "deploy"
    about: str = ""

    @property
    def ended(self) -> float:
        """Seconds since 1970; 0 for one that is under way, or was killed and is not in the log yet, so that nobody knows."""
        known = self.seconds or self.result not in ("under way", "interrupted")
        return self.started + self.seconds if known else 0


@dataclass(frozen=True)
class Back:
    """A rollback that no deploy has followed. to: a generation's number. time: seconds since 1970."""

    to: int
    operator: str
    time: float


@dataclass(frozen=True)
class Course:
    """generation: name of the active one; active: since when; gone: whether its files are away. number: by which ``make generations``
    has it, 0 for none. deploy: the last one. reboot: since when one is due, for which packages.
    cut_short: rotations that had new values in Vault, did not come to their end, and were not run again.
    """

    generation: str = ""
    active: float = 0
    deploy: Deploy | None = None
    reboot: float = 0
    packages: tuple[str, ...] = ()
    gone: bool = False
    number: int = 0
    back: Back | None = None
    cut_short: tuple[Deploy, ...] = ()


# The lock is only looked at: to try it would hold up a run that begins. /proc/locks leaves out what a process has taken that is gone, as
# flock(1) is by then, where the host is a container itself (LXC); the run that has it says it there, too. What others have written is not
# echoed: sh would make a line's end of the \n in a certificate's JSON, and no record would be read.
QUESTION = f"""
generation=$(readlink {CURRENT}) && echo "generation $(stat -c %Y {CURRENT}) ${{generation##*/}}"
[ -e {CURRENT} ] || [ ! -L {CURRENT} ] || echo gone
[ ! "$generation" ] || for folder in {RECORDS}/[0-9]*; do
    [ "$(cat "$folder/tree" 2>/dev/null)" != "${{generation##*/}}" ] ||
        printf 'record %s %s %s\\n' "${{folder##*/}}" "$(cat "$folder/time")" "$(cat "$folder/made")"
done
stat -c 'reboot %Y' /run/reboot-required 2>/dev/null
sort -u /run/reboot-required.pkgs 2>/dev/null | sed 's/^/package /'
tail -n 20 /var/log/smarteros/runs.log 2>/dev/null | sed 's/^/run /'
cat /var/log/smarteros/runs.log.1 /var/log/smarteros/runs.log 2>/dev/null | grep -a '"command": "rotate"' | tail -n 50 | sed 's/^/rotation /'
sed 's/^/unfinished /' /var/log/smarteros/.unfinished 2>/dev/null
held=$(stat -c %i /run/smarteros/lock 2>/dev/null) &&
    grep -qs "^lock:.*:$held " "/proc/$(sed -n 's/^pid //p' /var/log/smarteros/.unfinished 2>/dev/null)"/fdinfo/* && echo held
""".strip()

# What is JSON in the notes of a run; commands that deploy. Others lock the host and are in the log as well.
_QUOTED = ("operator", "command", "about", "at", "change")
_DEPLOYS = ("deploy", "rollback", "rotate", "update")
# Those of them that bring a generation.
_BRING = ("deploy", "rollback", "update")
# How the names of its own operations begin: by then it has been let in, and Vault is open.
_ROTATES = "Rotate | "


def course(values: Mapping[str, Sequence[str]]) -> Course:
    """The lines → Course. A line of the log that is no such line (a disk was full) stays out. Raises ValueError for no number."""
    active, _, generation = values.get("generation", ["0 "])[0].partition(" ")
    found = runs(values)
    recorded = dict(_records(values.get("record", ())))
    number = max(recorded, default=0)
    return Course(
        generation,
        float(active),
        next((item for item in reversed(found) if item.command in _DEPLOYS), None),
        float(values.get("reboot", ["0"])[0]),
        tuple(values.get("package", ())),
        "gone" in values,
        number,
        _back(number, recorded.get(number), [item for item in found if item.generation == generation]),
        tuple(_cut_short([*_logged(values.get("rotation", ())), *_unfinished_of(values)])),
    )


def _cut_short(rotations: Iterable[Deploy]) -> Iterable[Deploy]:
    """The last of each service's, oldest first. Vault's own keys are no part of ``all``."""
    found: dict[str, Deploy] = {}
    for item in rotations:
        if item.result == "ok":
            ended = [name for name in found if name != "vault"] if item.about == "all" else [item.about]
            found = {name: each for name, each in found.items() if name not in ended}
        elif item.about and any(text.startswith(_ROTATES) for text in (item.at, *item.changed)):
            found = {**{name: each for name, each in found.items() if name != item.about}, item.about: item}
    return [item for item in found.values() if item.result != "under way"]


def _records(lines: Sequence[str]) -> Iterator[tuple[int, Back]]:
    """Those of the active files. A copy that somebody has put beside one is none."""
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            number, time, made = line.split(" ", 2)
            found = json.loads(made)
            yield int(number), Back(int(found["of"]), str(found["operator"]), float(time))


def _back(number: int, recorded: Back | None, found: Sequence[Deploy]) -> Back | None:
    """By the last run that has brought these files, or found them as they were to be; where the log has none, by their record."""
    ended = (item for item in reversed(found) if item.result == "ok" and item.command in _BRING)
    last = next(ended, None)
    if recorded is None or (last and last.command != "rollback"):
        return None
    if last:
        return Back(recorded.to or number, last.operator, last.started)
    return recorded if recorded.to else None


class CourseFact(FactBase[Course]):
    """Course, by itself."""

    def command(self) -> str:
        """Prints the question's lines."""
        return f"{QUESTION}\ntrue"

    @staticmethod
    def default() -> Course:
        """Nothing is known."""
        return Course()

    def process(self, output: list[str]) -> Course:
        """Lines → Course. Raises FactProcessError for output that no host prints."""
        values: dict[str, list[str]] = {}
        for key, _, value in (line.partition(" ") for line in output):
            values.setdefault(key, []).append(value)
        try:
            return course(values)
        except ValueError as error:
            raise FactProcessError(f"cannot read what was deployed last: {error}") from None


def runs(values: Mapping[str, Sequence[str]]) -> list[Deploy]:
    """``run`` and ``unfinished`` lines → all that are noted, the newest last."""
    return [*_logged(values.get("run", ())), *_unfinished_of(values)]


def _unfinished_of(values: Mapping[str, Sequence[str]]) -> Iterator[Deploy]:
    return _unfinished(values.get("unfinished", ()), held="held" in values)


def _logged(lines: Sequence[str]) -> Iterator[Deploy]:
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            found = json.loads(line)
            started = datetime.fromisoformat(found["started"].removesuffix("Z")).replace(tzinfo=UTC)
            yield Deploy(
                str(found["operator"] or ""),
                started.timestamp(),
                int(found["seconds"]),
                str(found["result"]),
                str(found["generation"]),
                str(found["at"] or ""),
                tuple(map(str, found["changed"])),
                str(found.get("command") or "deploy"),
                str(found.get("about") or ""),
            )


def _unfinished(lines: Sequence[str], *, held: bool) -> Iterator[Deploy]:
    """The present run, or one that was killed: the next one will write its line."""
    found: dict[str, list[str]] = {}
    for line in lines:
        key, _, value = line.partition(" ")
        with suppress(ValueError, RecursionError):
            found.setdefault(key, []).append(str(json.loads(value) or "") if key in _QUOTED else value)
    with suppress(KeyError, ValueError):
        yield Deploy(
            found.get("operator", [""])[-1],
            float(found["epoch"][0]),
            0,
            "under way" if held else "interrupted",
            at=found.get("at", [""])[-1],
            changed=tuple(dict.fromkeys(found.get("change", ()))),
            command=found.get("command", ["deploy"])[-1],
            about=found.get("about", [""])[-1],
        )

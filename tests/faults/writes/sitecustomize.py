"""Writes of a program of ours on this machine, each a point at which it is killed with its whole group: SMARTEROS_FAULTS names the folder
where they are noted (tests/faults/bootstrapping.py), and below which folder they count; PYTHONPATH this folder.

Python says each call before it is made (PEP 578). For what comes after it the call is made here, and nothing after that.
``course``: the points that were passed. ``ended``: where a run was killed. ``wanted``: only there; ``armed``: at all.
"""

import os
import re
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_OPENS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# The same call by the same way is a point of its own so many times.
_TIMES = 2
_RANDOM = re.compile(r"(?:(?<=/)|^)tmp[a-z0-9_]{8}(?=[./]|$)")


def _opened(path: Path, mode: object, flags: int) -> None:
    os.close(os.open(path, flags, 0o600 if mode is None else 0o666))


# Event → its call, with the path that it is named by.
_CALLS: dict[str, Any] = {
    "open": _opened,
    "os.rename": lambda path, new, *_: path.rename(new),
    "os.link": lambda path, new, *_: Path(new).hardlink_to(path),
    "os.remove": lambda path, *_: path.unlink(),
    "os.mkdir": lambda path, mode, *_: path.mkdir(mode),
    "os.rmdir": lambda path, *_: path.rmdir(),
    "os.chmod": lambda path, mode, *_: path.chmod(mode),
}
# Where in its arguments the folder's number is, -1 for none.
_FOLDERS = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.rename": 2, "os.link": 2, "os.chmod": 2}


class Writes:
    """Of this process."""

    def __init__(self, top: Path, below: str) -> None:
        self.top, self.below, self.inside = top, Path(below), False
        self.armed = (top / "armed").exists()
        self.ended, self.wanted = (set((top / name).read_text().splitlines()) for name in ("ended", "wanted"))
        self.seen = Counter[str]()

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Of every call that Python tells of."""
        if event not in _CALLS or self.inside:
            return
        self.inside = True
        try:
            self._came(event, arguments)
        finally:
            self.inside = False

    def _came(self, event: str, arguments: tuple[Any, ...]) -> None:
        named, *rest = arguments
        writes = event != "open" or (rest[1] & _OPENS and rest[1] & os.O_TMPFILE != os.O_TMPFILE)
        if not writes or not isinstance(named, str | os.PathLike):
            return
        number = arguments[_FOLDERS[event]] if event in _FOLDERS else -1
        folder = Path.cwd() if number == -1 else Path(f"/proc/self/fd/{number}")
        path = folder / named
        path = path.parent.resolve() / path.name
        there = event == "os.mkdir" and path.exists()
        if there or not path.is_relative_to(self.below) or "__pycache__" in path.parts:
            return
        place = _RANDOM.sub("tmp…", str(path.relative_to(self.below)))
        name = f"{_program()}: {event} {place} {_callers(str(self.below))}"
        self.seen[name] += 1
        if self.seen[name] > _TIMES:
            return
        self._at(f"before {name}*{self.seen[name]}")
        if self._due(after := f"after {name}*{self.seen[name]}"):
            _CALLS[event](path, *rest)
        self._at(after)

    def _due(self, point: str) -> bool:
        return self.armed and point not in self.ended and (not self.wanted or point in self.wanted)

    def _at(self, point: str) -> None:
        self._note("course", point)
        if self._due(point):
            self._note("ended", point)
            os.killpg(0, signal.SIGKILL)

    def _note(self, file: str, point: str) -> None:
        number = os.open(self.top / file, os.O_WRONLY | os.O_APPEND)
        os.write(number, f"{point}\n".encode())
        os.close(number)


def _program() -> str:
    """What pyinfra was given, or our own."""
    words = getattr(sys, "argv", None) or [""]
    return words[-1] if words[0].endswith("pyinfra") else Path(words[0]).stem


def _callers(below: str) -> str:
    """Lines of ours that lead there: the same write of another step is another point."""
    found, frame = [], sys._getframe(3)
    while frame:
        file = frame.f_code.co_filename
        if file.startswith(below) and "/tasks/" in file:
            found.append(f"{file.rpartition('/tasks/')[2]}:{frame.f_lineno}")
        frame = frame.f_back  # type: ignore[assignment]
    return "<".join(found)


def _lay() -> None:
    top = os.environ.get("SMARTEROS_FAULTS")
    if top and (Path(top) / "below").exists():
        sys.addaudithook(Writes(Path(top), (Path(top) / "below").read_text()).hear)


runpy.run_path(str(_HERE.parents[1] / "lab/names/sitecustomize.py"))
_lay()

"""Footing: what a run stands on on this machine, looked at when its inventory is read, before the first connection.

Where something is missing pyinfra would fail with a traceback, or succeed without having done anything.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PYINFRA = "3.10."
_PACKAGES = (
    "bcrypt",
    "hvac",
    "idna",
    "jinja2",
    "pydantic",
    "requests",
    "typing_extensions",
    "tzdata",
    "yaml",
)
_ANEW = "make the virtual environment anew: .ci/venv .venv"


def checked() -> None:
    """Ends the program (exit code 1) with one line where something is amiss."""
    if wrong := trouble(sys.argv, Path.cwd(), version("pyinfra"), _missing(_PACKAGES)):
        sys.exit(wrong)


def _missing(names: Iterable[str], find: Callable[[str], object] = find_spec) -> list[str]:
    return [name for name in names if not find(name)]


def trouble(argv: Sequence[str], folder: Path, pyinfra: str, missing: Sequence[str]) -> str:
    """What is amiss, empty when nothing is. Pure but for the folder."""
    if missing:
        return f"not installed here: {', '.join(missing)}: {_ANEW}"
    if not pyinfra.startswith(PYINFRA):
        return f"pyinfra {pyinfra} is installed here, and this needs {PYINFRA}x: {_ANEW}"
    if "--dry" in argv and {"-y", "--yes"} & set(argv):
        return "--dry with -y shows no plan, since -y leaves out what finds the changes: take -y away (make plan does)"
    if "--group-data" not in argv and not (folder / "group_data" / "all.py").is_file():
        return (
            f"no settings: pyinfra reads group_data in the current folder, and {folder} has no group_data/all.py: "
            "change into the folder of this repository first"
        )
    return ""

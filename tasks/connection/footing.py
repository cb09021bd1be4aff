"""Footing: what a run stands on on this machine, looked at when its inventory is read, before the first connection.

Where something is missing pyinfra would fail with a traceback, or succeed without having done anything.
"""

import ast
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tasks.connection import confirm, detected, results
from tasks.model.targets import target

# pyinfra as it was tested; a paramiko before this one knows no key exchange that strict_ssh leaves.
_VERSIONS = {"pyinfra": "3.10", "paramiko": "5.1"}
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


@cache
def checked() -> None:
    """Ends the program (exit code 1) with one line where something is amiss."""
    if wrong := trouble(
        sys.argv, Path.cwd(), {name: version(name) for name in _VERSIONS}, _missing(_PACKAGES)
    ):
        sys.exit(wrong)
    shown_briefly()


def _missing(names: Iterable[str], find: Callable[[str], object] = find_spec) -> list[str]:
    return [name for name in names if not find(name)]


def _number(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)[:2]]


def trouble(argv: Sequence[str], folder: Path, installed: Mapping[str, str], missing: Sequence[str]) -> str:
    """What is amiss, empty when nothing is. Pure but for the folder."""
    if missing:
        return f"not installed here: {', '.join(missing)}: {_ANEW}"
    for name, found in installed.items():
        wanted = _VERSIONS[name]
        if _number(found) < _number(wanted) or (name == "pyinfra" and _number(found) != _number(wanted)):
            return f"{name} {found} is installed here, and this needs {wanted}: {_ANEW}"
    if "--dry" in argv and {"-y", "--yes"} & set(argv):
        return f"--dry with -y shows no plan, since -y leaves out what finds the changes: take -y away ({target('plan')} does)"
    if "--group-data" not in argv and not (folder / "group_data" / "all.py").is_file():
        return (
            f"no settings: pyinfra reads group_data in the current folder, and {folder} has no group_data/all.py: "
            "change into the folder of this repository first"
        )
    settings = folder / "group_data"
    return _unreadable(settings) or _dropped(settings) or _misnamed(argv, settings)


def _unreadable(folder: Path) -> str:
    """The first mistake of Python's grammar in the settings: pyinfra would call it an error of its own."""
    for path in sorted(folder.glob("*.py")):
        try:
            compile(path.read_bytes(), path.name, "exec")
        except SyntaxError as error:
            return f"group_data/{path.name}, line {error.lineno}: {error.msg}"
        except (OSError, ValueError) as error:
            return f"group_data/{path.name} cannot be read: {error}"
    return ""


def _dropped(folder: Path) -> str:
    """The first name that was to be a setting, and that pyinfra leaves out without a word, since an import binds it."""
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_bytes())
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        for node in tree.body if "__all__" not in bound else ():
            for name in _imported(node):
                if name in bound or name not in read:
                    return (
                        f"group_data/{path.name}, line {node.lineno}: pyinfra takes no name for a setting that an import brings: "
                        f"import {name} as _{name}, and set {name} from that"
                    )
    return ""


def _imported(node: ast.stmt) -> list[str]:
    """The names that could be settings."""
    if not isinstance(node, ast.ImportFrom) or node.module == "__future__":
        return []
    names = (alias.asname or alias.name for alias in node.names)
    return [name for name in names if name != "*" and not name.startswith("_")]


def one_line(error: Exception, filename: str) -> str:
    """Where in a file of settings or hosts it was raised, and what it says."""
    frames = traceback.extract_tb(getattr(error, "_traceback", error.__traceback__))
    numbers = [frame.lineno for frame in frames if frame.filename == filename]
    where = f"{Path(filename).parent.name}/{Path(filename).name}, line {numbers[-1] if numbers else '?'}"
    return f"{where}: {type(error).__name__}: {error}"


def shown_briefly() -> None:
    """From now on pyinfra shows what a file of settings raises in one line, and of any other file as before."""
    # Its command line has loaded it; without one nothing is shown, and its import would change Python's threads.
    command_line: Any = sys.modules.get("pyinfra_cli.exceptions")
    if command_line is None:
        return
    kind = command_line.UnexpectedExternalError
    full = kind.show

    def show(self: Any, file: Any = None) -> None:
        if Path(self.filename).name == "deploy.py":
            full(self, file)
        else:
            sys.stderr.write(f"{one_line(self.exception, self.filename)}\n")

    kind.show = show
    main: Any = sys.modules.get("pyinfra_cli.cli")
    if main is not None:
        confirm.lay(main)
        detected.lay(main)
        results.lay()
        main.make_inventory = _explained(main.make_inventory, (command_line.CliError, kind))


def _explained(make: Callable[..., Any], clear: tuple[type[Exception], ...]) -> Callable[..., Any]:
    """Pyinfra's making of an inventory, ended with one line where it fails, or lists no host. clear: what says so itself."""

    def making(inventory: str, *args: Any, **kwargs: Any) -> Any:
        if inventory.endswith(".py") and not Path(inventory).exists():
            sys.exit(f"there is no file {inventory}")
        try:
            found = make(inventory, *args, **kwargs)
        except clear:
            raise
        except SyntaxError as error:
            sys.exit(f"{error.filename}, line {error.lineno}: {error.msg}: mend that line")
        except Exception as error:  # noqa: BLE001  whatever a file of hosts can raise
            sys.exit(
                f"{inventory}: {type(error).__name__}: {error}: inventories/prod.py shows how it has to be"
            )
        if not len(found):
            sys.exit(
                f"nodes: {inventory} lists no host: it has to have nodes = hosts(…), as inventories/prod.py shows"
            )
        return found

    return making


def _misnamed(argv: Sequence[str], folder: Path) -> str:
    """Pyinfra reads a file of the inventory's name, and says nothing where there is only one that is called nearly so."""
    names = {path.stem for path in folder.glob("*.py")}
    taken = {path.stem for path in folder.parent.glob("inventories/*.py")} | {"all"}
    for inventory in (
        Path(word).stem for word in argv if word.endswith(".py") and Path(word).name != "deploy.py"
    ):
        near = get_close_matches(inventory, names - taken, n=1, cutoff=0.5)
        if inventory not in names and near:
            return f"group_data/{near[0]}.py is read by no inventory: {inventory}.py reads group_data/{inventory}.py: rename it"
    return ""

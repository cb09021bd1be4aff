"""Mistakes in an inventory's file, as plain ``pyinfra inventories/prod.py deploy.py`` says them: one line each."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import ROOT

IMPORT = "from tasks.connection.inventory import hosts\n"
NO_HOST = "nodes: {file} lists no host: it has to have nodes = hosts(…), as inventories/prod.py shows"
NO_ENTRY = 'is no host: an entry is a name or address, or ("name", {{"ssh_hostname": …}}) with both in one pair of brackets'

MISTAKES = {
    "a bracket is missing": (
        f'{IMPORT}nodes = hosts(\n    "a",\n',
        "{file}, line 2: '(' was never closed: mend that line",
    ),
    "a name is misspelt": (
        f'{IMPORT}\nnodes = host("a")\n',
        "{folder}/prod.py, line 3: NameError: name 'host' is not defined",
    ),
    "a module is not there": (
        "from tasks.connection.inventry import hosts\n",
        "{folder}/prod.py, line 1: ModuleNotFoundError: No module named 'tasks.connection.inventry'",
    ),
    "a value is none": (
        f'{IMPORT}nodes = hosts(("a", {{"ssh_port": int("x")}}))\n',
        "{folder}/prod.py, line 2: ValueError: invalid literal for int() with base 10: 'x'",
    ),
    "it is empty": ("", NO_HOST),
    "the hosts have no name": (f'{IMPORT}hosts("a")\n', NO_HOST),
    "the hosts are not asked for": (f"{IMPORT}nodes = hosts\n", NO_HOST),
    "a pair of brackets is in the wrong place": (
        f'{IMPORT}nodes = hosts(("a"), {{"ssh_user": "x"}})\n',
        f"nodes: {{{{'ssh_user': 'x'}}}} {NO_ENTRY}",
    ),
    "an entry has no data": (f'{IMPORT}nodes = hosts(("a",))\n', f"nodes: ('a',) {NO_ENTRY}"),
    "an entry without hosts(…) has no data": (
        'nodes = [("a",)]\n',
        "{file}: IndexError: tuple index out of range: inventories/prod.py shows how it has to be",
    ),
}


def said(file: Path) -> tuple[int, list[str]]:
    """The exit code, and all that is printed but what pyinfra says of its steps."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("pyinfra")), "--dry", str(file), "deploy.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr).splitlines()
    return done.returncode, [line for line in lines if not re.fullmatch(r"--> Loading \w+\.\.\.", line)]


@pytest.mark.parametrize(("text", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    file = tmp_path / "prod.py"
    file.write_text(text)
    assert said(file) == (1, [line.format(file=file, folder=tmp_path.name)])


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "prod.py"
    assert said(file) == (1, [f"there is no file {file}"])

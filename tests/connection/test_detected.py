"""pyinfra's table before its question: what changes, how many do not, and nothing of hidden changes."""

import subprocess
import sys
from pathlib import Path

from tasks.connection.detected import Row, changing
from tests.samples import ROOT

HEAD = (print, ["Operation", "Change", "Conditional Change"])
QUIET, LOUD = (print, ["Docker | engine", "-", "-"]), (print, ["n8n | its containers", "1 (prod)", "-"])


def test_the_operations_that_change_nothing_are_counted() -> None:
    assert changing([HEAD, QUIET, LOUD, QUIET]) == [HEAD, LOUD, (print, "2 more change nothing")]
    assert changing([HEAD, LOUD]) == [HEAD, LOUD]


def test_where_nothing_changes_it_says_so() -> None:
    assert changing([HEAD, QUIET, QUIET]) == [(print, "none of 2 operations changes anything")]


def test_the_table_of_results_is_as_it_was() -> None:
    results: list[Row] = [(print, ["Operation", "Hosts", "Success", "Error", "No Change"])]
    results += [
        (print, ["Docker | engine", "1", "-", "-", "1"]),
        (print, ["Grand total", "1", "-", "-", "1"]),
    ]
    assert changing(results) == results


OPERATIONS = """
from pyinfra.operations import server
from pyinfra.api import operation

@operation()
def none():
    yield from ()

none(name="One | changes nothing")
server.shell(commands=["true"], name="Two | changes something")
"""


def shown(tmp_path: Path, *flags: str) -> tuple[int, str]:
    """Exit code and what pyinfra's own command line shows, whose words and table these are; its question is answered with no."""
    (tmp_path / "operations.py").write_text(OPERATIONS)
    inventory = ROOT / "inventories" / "local.py"
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("pyinfra")),
            *flags,
            str(inventory),
            str(tmp_path / "operations.py"),
        ],
        cwd=ROOT,
        input="no\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "may not include every change" not in done.stderr
    return done.returncode, done.stderr.partition("--> Detected changes:\n")[2]


def test_pyinfra_itself_shows_it_so(tmp_path: Path) -> None:
    code, said = shown(tmp_path)
    assert "Two | changes something   1 (@local)" in said
    assert "    1 more change nothing" in said
    assert "One | changes nothing" not in said
    assert said.index("1 more change nothing") < said.index("Enter or yes goes on")
    assert code == 1


def test_where_nothing_is_asked_it_is_whole(tmp_path: Path) -> None:
    code, said = shown(tmp_path, "--dry")
    assert "One | changes nothing" in said
    assert "Two | changes something   1 (@local)" in said
    assert code == 0

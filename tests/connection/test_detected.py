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


def test_pyinfra_itself_shows_it_so(tmp_path: Path) -> None:
    """By its own command line, whose words and table these are."""
    (tmp_path / "operations.py").write_text(OPERATIONS)
    inventory = ROOT / "inventories" / "local.py"
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("pyinfra")),
            "--dry",
            str(inventory),
            str(tmp_path / "operations.py"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stderr.partition("--> Detected changes:\n")[2]
    assert done.returncode == 0, done.stderr
    assert "Two | changes something   1 (@local)" in said
    assert "    1 more change nothing" in said
    assert "One | changes nothing" not in said
    assert "may not include every change" not in done.stderr
    assert said.index("1 more change nothing") < said.index("--> Disconnecting from hosts...")

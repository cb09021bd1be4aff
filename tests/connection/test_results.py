"""pyinfra's words after a run: what changed, how many operations did not, and of a failure the reason alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.connection.detected import Row
from tasks.connection.results import done
from tests.samples import ROOT

HEAD = (print, ["Operation", "Hosts", "Success", "Error", "No Change"])
QUIET, LOUD = (print, ["Docker | engine", "1", "-", "-", "1"]), (print, ["n8n | its env", "1", "1", "-", "-"])
BAD, TOTAL = (print, ["Host | packages", "2", "1", "1", "-"]), (print, ["Grand total", "3", "1", "-", "2"])
RESULTS = (print, "--> Results:")


def test_what_changed_or_failed_is_listed_and_the_others_are_in_the_total() -> None:
    assert done([HEAD, QUIET, LOUD, BAD, QUIET, TOTAL]) == [RESULTS, HEAD, LOUD, BAD, TOTAL]
    assert done([HEAD, QUIET, QUIET, TOTAL]) == [RESULTS, HEAD, TOTAL]


def test_a_first_deploy_does_not_push_its_table_off_the_screen() -> None:
    assert done([HEAD, *[LOUD] * 15, QUIET, TOTAL]) == [RESULTS, HEAD, *[LOUD] * 15, TOTAL]
    assert done([HEAD, *[LOUD] * 16, BAD, QUIET, TOTAL]) == [RESULTS, HEAD, BAD, TOTAL]


def test_of_a_single_operation_all_was_said() -> None:
    assert done([HEAD, LOUD, TOTAL]) == []


def test_the_table_before_the_question_is_as_it_was() -> None:
    rows: list[Row] = [(print, ["Operation", "Change", "Conditional Change"]), (print, ["One", "-", "-"])]
    assert done(rows) == rows


OPERATIONS = """
from pyinfra.operations import server
from tasks.run import Refused, operation, step

@operation
def none():
    yield from ()

@operation
def refused():
    raise Refused("the disk is full: make room there")

@operation
def stepping():
    def fail():
        raise Refused("the API does not answer: run again")
    yield "true"
    yield step(fail)

none(name="One | changes nothing")
"""
TWO = """
server.shell(commands=["true"], name="Two | changes something")
"""


def ended(tmp_path: Path, more: str = TWO, *flags: str) -> tuple[int, str]:
    """Exit code and what pyinfra's own command line shows, whose words and table these are."""
    (tmp_path / "operations.py").write_text(OPERATIONS + more)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("pyinfra")),
            *("--data", "acme_email=a@b.cl", "-y", *flags),
            *("@local", str(tmp_path / "operations.py")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_pyinfra_itself_ends_so(tmp_path: Path) -> None:
    code, said = ended(tmp_path)
    assert code == 0
    assert said.endswith(
        "--> Results:\n"
        "    Operation                 Hosts   Success   Error   No Change   \n"
        "    Two | changes something   1       1         -       -           \n"
        "    Grand total               2       1         -       1           \n"
    ), said


def test_of_a_single_operation_pyinfra_says_nothing_more(tmp_path: Path) -> None:
    code, said = ended(tmp_path, "")
    assert said.endswith("--> Starting operation: One | changes nothing \n    [@local] No changes\n"), said
    assert code == 0


def test_with_v_it_is_whole(tmp_path: Path) -> None:
    code, said = ended(tmp_path, TWO, "-v")
    assert "One | changes nothing     1" in said
    assert said.endswith("--> Disconnecting from hosts...\n")
    assert code == 0


def test_after_a_reason_of_ours_there_is_nothing_more(tmp_path: Path) -> None:
    for call, reason in (
        ('refused(name="Three")', "the disk is full: make room there"),
        ('stepping(name="Three")', "the API does not answer: run again"),
        ('server.shell(commands=["echo no such host >&2; false"], name="Three")', "no such host"),
    ):
        code, said = ended(tmp_path, call)
        assert said.endswith(f"[@local] {reason}\n    [@local] Error\n"), said
        assert code == 1


def test_what_fails_without_a_word_is_said_to_have_failed(tmp_path: Path) -> None:
    code, said = ended(
        tmp_path,
        'server.shell(commands=["echo ill >&2"], name="Three")\nserver.shell(commands=["false"], name="Four")',
    )
    assert said.endswith("--> Starting operation: Four \n    [@local] Error: executed 0 commands\n"), said
    assert code == 1


def test_with_v_pyinfra_says_all_of_it(tmp_path: Path) -> None:
    code, said = ended(tmp_path, 'refused(name="Three")', "-v")
    assert "Error: executed 0 commands" in said
    assert "No hosts remaining!" in said
    assert code == 1


@pytest.mark.parametrize(("lab", "before"), [("default", ""), ("other", "SMARTEROS_LAB=other ")])
def test_make_up_ends_with_what_to_run_next(lab: str, before: str) -> None:
    done = subprocess.run(
        ["make", "-n", "up"],
        cwd=ROOT,
        env={**os.environ, "SMARTEROS_LAB": lab},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1].startswith(
        f"echo 'the lab is up: `{before}make status INVENTORY=inventories/lab.py` says how it is, `{before}make down` removes it; "
    )

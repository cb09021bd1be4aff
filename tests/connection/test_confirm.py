"""pyinfra's question: who answers it how, and what a run says that nobody could answer."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tasks.connection.confirm import asking, beforehand, meant
from tests.samples import ROOT

DEPLOY = (".venv/bin/pyinfra", "inventories/prod.py", "deploy.py")
UNDO = (".venv/bin/pyinfra", "inventories/prod.py", "tasks.commands.undo_host.run")
DETECTED = "Detected changes displayed above, skip this step with -y"


@pytest.mark.parametrize("answer", ["", "y", "Y", "yes", " yes "])
def test_a_deploy_goes_on_at_enter_and_at_a_yes(answer: str) -> None:
    assert meant(answer, DEPLOY) == ""


@pytest.mark.parametrize("answer", ["n", "no", "x"])
def test_another_answer_is_said(answer: str) -> None:
    end = "Enter or yes would have gone on"
    assert meant(answer, DEPLOY) == f"the answer was {answer!r}, and nothing was done: {end}"


@pytest.mark.parametrize("answer", ["", "y", "n"])
def test_what_takes_away_wants_the_whole_word(answer: str) -> None:
    said = f"the answer was {answer!r}, and nothing was done: the word yes would have gone on"
    assert meant(answer, UNDO) == said
    assert meant("yes", UNDO) == ""


def test_what_the_makefile_says_to_ask_for_the_word_does() -> None:
    """But credentials, which asks by itself."""
    lines = (ROOT / "Makefile").read_text().split("\n\n")
    asking_targets = [text for text in lines if "asks for the word yes" in text and " -y " not in text]
    assert len(asking_targets) == 2
    for text in asking_targets:
        assert meant("", (".venv/bin/pyinfra", "inventories/prod.py", text.split()[-1])) != ""


@pytest.mark.parametrize(
    ("text", "given"), [("1", True), ("yes", True), ("", False), ("0", False), ("no", False)]
)
def test_a_yes_beforehand_is_the_same_in_every_target(
    monkeypatch: pytest.MonkeyPatch, text: str, *, given: bool
) -> None:
    monkeypatch.setenv("YES", text)
    assert beforehand() is given


def test_who_cannot_be_asked_is_told_the_command() -> None:
    assert meant(None, DEPLOY) == (
        "nobody answered (no terminal, as in cron or CI), and nothing was done: "
        "YES=1 in the environment goes on as shown, .venv/bin/pyinfra -y inventories/prod.py deploy.py does not ask"
    )
    assert "YES" not in meant(None, UNDO)


def nobody() -> str:
    raise EOFError


@pytest.mark.parametrize("ask", [nobody, lambda: "n"])
def test_what_is_not_wanted_ends_with_exit_code_1(ask: Callable[[], str]) -> None:
    with pytest.raises(SystemExit) as raised:
        asking(DEPLOY, ask)(DETECTED)
    assert "nothing was done" in str(raised.value.code)
    assert asking(DEPLOY, ask)("One of more hosts failed, continue?") is False


def test_ctrl_c_at_the_question_is_a_no(capsys: pytest.CaptureFixture[str]) -> None:
    """And not a run that goes on where it was; what is asked in between has done something."""

    def ended() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "y"

    with pytest.raises(SystemExit) as raised:
        asking(DEPLOY, ended)(DETECTED)
    assert raised.value.code == 130
    assert capsys.readouterr().err.endswith("\nended, and nothing was done\n")
    before, heard = signal.getsignal(signal.SIGINT), list[object]()

    def looked() -> str:
        heard.append(signal.getsignal(signal.SIGINT))
        return "y"

    assert asking(DEPLOY, looked)("One of more hosts failed, continue?") is True
    assert heard == [before]


def test_a_yes_that_was_given_is_one_to_the_changes_alone() -> None:
    assert asking(DEPLOY, nobody, given=True)(DETECTED) is True
    assert asking(DEPLOY, nobody, given=True)("One of more hosts failed, continue?") is False
    with pytest.raises(SystemExit):
        asking(UNDO, nobody, given=True)(DETECTED)


@pytest.mark.parametrize(
    ("stdin", "code", "said"),
    [("", 1, "does not ask"), ("n\n", 1, "the answer was 'n'"), ("y\n", 0, "Beginning operation run")],
)
def test_pyinfra_itself_asks_so(stdin: str, code: int, said: str) -> None:
    program = """
import sys
from pyinfra_cli import cli
from tasks.connection import footing
footing.shown_briefly()
if cli._do_confirm("Detected changes displayed above"):
    print("--> Beginning operation run...")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert said in done.stderr + done.stdout

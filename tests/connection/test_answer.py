"""Answer: what stands between our marks, whatever else is printed; what does not end in one is an error in words."""

import errno
import os
import subprocess
import time
from typing import Any

import gevent
import pytest
from pyinfra.connectors.util import CommandOutput, OutputLine

from tasks.connection.answer import Late, NoAnswer, Printed, asked, marked, read
from tests.fake import fake

NO_SHELL = (
    "it runs no command of ours for this login: the login shell, what that starts, or a forced command of the key "
    "answers in its place ({}): give the user a shell that runs commands, as root (chsh -s /bin/bash and the user's "
    "name), or log in as another user (ssh_user)"
)


def printed(text: str, before: str = "", after: str = "", **env: str) -> Printed:
    """What a login shell that runs ``before`` and ``after`` prints of a question."""
    words = ["bash", "-c", f'{before}\nsh -c "$QUESTION"\n{after}']
    environment = {**os.environ, "QUESTION": marked(text), **env}
    done = subprocess.run(words, env=environment, capture_output=True, check=False)
    out, errors = (stream.decode().split("\n") for stream in (done.stdout, done.stderr))
    return Printed(done.returncode == 0, out, errors)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("echo one; echo two", ["one", "two"]),
        ("printf one", ["one"]),
        ("printf 'one\\n\\n'", ["one", ""]),
        ("true", []),
        ("exit 0; echo never", []),
        ("{ sleep 0.1; echo later; } &\nwait", ["later"]),
        ("cat <<'E'\n$HOME `id`\nE", ["$HOME `id`"]),
        ("echo of no interest >&2; echo one", ["one"]),
        ("printf 'one\\r\\n'", ["one\r"]),
    ],
)
def test_the_answer_is_what_the_question_prints(text: str, answer: list[str]) -> None:
    assert read(printed(text)) == answer


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("echo Welcome", "echo Goodbye"),
        ("printf Welcome", "printf Goodbye"),
        ("echo smarteros-end 0", ""),
        ("echo 'sudo: unable to resolve host h1' >&2", ""),
        ("printf '\\033]0;h1\\007'", ""),
        ("set -x", "set +x"),
        ("export SHELLOPTS; set -x", ""),
        ("export PROMPT_COMMAND='echo prompt' PS4='smarteros-answer'; set -x", ""),
        ("export LC_ALL=de_XX.UTF-8 LANG=xx_YY", ""),
        ("echo 'perl: warning: Setting locale failed.' >&2", "false"),
        ("clear", "exit 3"),
    ],
)
def test_what_a_login_prints_beside_the_answer_changes_nothing(before: str, after: str) -> None:
    assert read(printed("echo one; echo two", before, after)) == ["one", "two"]


def test_what_a_terminal_makes_of_the_ends_of_lines_changes_nothing() -> None:
    found = printed("echo one; echo two")
    assert read(Printed(succeeded=True, out=[f"{line}\r" for line in ("hello", *found.out)])) == [
        "one",
        "two",
    ]


def test_programs_speak_english_in_it() -> None:
    assert read(printed('echo "$LC_ALL"', LANG="de_DE.UTF-8", LC_ALL="de_DE.UTF-8")) == ["C.UTF-8"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo half; exit 3", "a question ends with exit code 3"),
        ("echo half; echo broken >&2; exit 3", "a question ends with exit code 3: broken"),
        ("fail Docker does not answer; echo half", "Docker does not answer"),
        (
            "ls /nowhere/at/all || fail no list; true",
            "no list: ls: cannot access '/nowhere/at/all': No such file or directory",
        ),
        ("(fail one) & wait; fail two", "one; two"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(text: str, why: str) -> None:
    with pytest.raises(NoAnswer) as error:
        read(printed(text, before="echo 'of no interest' >&2"))
    assert (str(error.value), error.value.ran) == (why, True)


@pytest.mark.parametrize("text", ["kill -KILL $$", "echo half; kill -KILL $$"])
def test_an_answer_that_breaks_off_is_none(text: str) -> None:
    with pytest.raises(NoAnswer) as error:
        read(printed(text))
    assert str(error.value) == "the answer breaks off: what gives it was ended, or the connection; run again"


PASSWORD = (
    "the password of this login has expired, and until it is changed the host runs nothing for it: change it at a "
    "terminal (ssh -t), or as root (chage -M -1 and passwd for that user), or log in as another user (ssh_user)"
)
NOLOGIN = (
    "this login may run no commands there, it has no shell: give the user one, as root (chsh -s /bin/bash and the "
    "user's name), or log in as another user (ssh_user)"
)
TTY = "sudo wants a terminal there: take `Defaults requiretty` out of its sudoers, as root (visudo)"


@pytest.mark.parametrize(
    ("out", "errors", "why"),
    [
        (
            [],
            ["WARNING: Your password has expired.", "Password change required but no TTY available."],
            PASSWORD,
        ),
        ([], ["You are required to change your password immediately (administrator enforced)."], PASSWORD),
        (["This account is currently not available."], [], NOLOGIN),
        ([], ["sudo: sorry, you must have a tty to run sudo"], TTY),
        (
            [],
            ["sudo: unable to resolve host h1", "sudo: account validation failure"],
            "sudo: unable to resolve host h1 / sudo: account validation failure",
        ),
        (["1) Status", "2) Quit"], [], NO_SHELL.format("1) Status / 2) Quit")),
        ([], [], NO_SHELL.format("with nothing, exit code not 0")),
        (
            [],
            ["fatal: unrecognized command 'sh -c 'eval \"$(printf %b \"x"],
            NO_SHELL.format("fatal: unrecognized command 'sh -c …"),
        ),
        (["x" * 300], [], NO_SHELL.format("x" * 200 + "…")),
    ],
)
def test_what_a_host_prints_in_place_of_an_answer_is_said_with_the_way_out(
    out: list[str], errors: list[str], why: str
) -> None:
    with pytest.raises(NoAnswer) as error:
        read(Printed(succeeded=False, out=out, errors=errors))
    assert (str(error.value), error.value.ran) == (why, False)


def test_an_empty_answer_is_not_a_missing_one() -> None:
    assert read(printed("true")) == []
    with pytest.raises(NoAnswer):
        read(Printed(succeeded=True, out=[]))


LATE = (
    "no answer within {} s to what is asked there: something on the host hangs, mostly Docker (`systemctl status docker`; "
    "`systemctl restart docker` makes it answer again, and restarts all containers) or a disk (`dmesg`); once `make status` "
    "has an answer, run again"
)


def test_a_question_that_is_not_answered_in_time_is_ended_with_all_that_it_has_started() -> None:
    began = time.monotonic()
    done = subprocess.run(
        ["sh", "-c", marked("echo half; sleep 60 & (sleep 60)", 1)], capture_output=True, check=False
    )
    assert time.monotonic() - began < 30, "what it has started would hold its output until it ends"
    with pytest.raises(Late) as error:
        read(Printed(succeeded=True, out=done.stdout.decode().split("\n")), 1)
    assert (str(error.value), error.value.out, error.value.ran) == (LATE.format(1), ["half"], False)


def test_a_host_that_cannot_even_end_it_is_no_longer_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def hung(*_: Any, _timeout: float, **__: Any) -> Any:
        given.append(_timeout)
        raise TimeoutError  # pyinfra's, after these seconds

    def cut(*_: Any, **__: Any) -> Any:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")  # the network's

    with fake({}) as host:
        monkeypatch.setattr(host, "run_shell_command", hung)
        with pytest.raises(Late) as late:
            asked(host, "true", seconds=7)
        monkeypatch.setattr(host, "run_shell_command", cut)
        with pytest.raises(NoAnswer) as lost:
            asked(host, "true")
    assert given == [22]
    assert str(late.value) == LATE.format(7)
    assert str(lost.value) == ("the connection does not hold ([Errno 110] Connection timed out): run again")


def test_a_host_that_is_silent_is_named_once_until_it_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tasks.connection.answer._SILENT", 0.05)
    waits = [0.3, 0.3, 0.0]

    def slow(*_: Any, **__: Any) -> Any:
        gevent.sleep(waits.pop(0))
        return True, CommandOutput(
            [OutputLine("stdout", line) for line in ("smarteros-answer", "smarteros-end 0")]
        )

    with fake({}) as host, caplog.at_level("INFO"):
        monkeypatch.setattr(host, "run_shell_command", slow)
        monkeypatch.setattr(host, "log", pytest.fail)  # a plan's, while one is drawn up
        gevent.joinall([gevent.spawn(asked, host, "true", seconds=each) for each in (7, 7)], raise_error=True)
        said = ["@fake/one has not answered for 0.05 s; waits up to 7 s"]
        assert caplog.messages == said
        asked(host, "true")
        gevent.sleep(0.1)
        assert caplog.messages == said, "who answers in time is named by nobody"
        waits.append(0.3)
        asked(host, "true")
    assert caplog.messages == [*said, "@fake/one has not answered for 0.05 s; waits up to 120 s"]

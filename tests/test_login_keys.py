"""Login keys, the phase: when it asks, when it writes, by which key it is logged in, and what a key that has gone is tried by."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tasks import drift, login_keys
from tasks.facts.login_keys import LoginKeysFact
from tasks.model.login_keys import key, text
from tasks.operations import questions
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake
from tests.model.test_login_keys import KEY, line
from tests.test_ssh import client, reached

NEW = line(comment="new@laptop", data=b"n" * 32)
OLD, OTHER = key(KEY), key(NEW)
FILE = "/root/.ssh/authorized_keys"


def answer(content: str, *more: str) -> list[str]:
    """Of a host whose root has this file."""
    return [
        *more,
        "user root 0 0 /root",
        "base /root",
        f"file .ssh/authorized_keys {FILE}",
        f"real {FILE}",
        f"state 600 0:0 {base64.b64encode(content.encode()).decode()}",
        "folder 700 0:0 /root/.ssh",
        "folder 700 0:0 /root",
    ]


def logged_in(blob: bytes, name: str = "ssh-ed25519", certificate: object = None) -> Any:
    """A connection that this key has opened."""
    found = client()
    found.get_transport().auth_handler = SimpleNamespace(
        auth_method="publickey",
        private_key=SimpleNamespace(asbytes=lambda: blob, get_name=lambda: name, public_blob=certificate),
    )
    return found


@contextmanager
def host(
    content: str,
    *lines: str,
    gone: list[str] | None = None,
    unproven: tuple[str, ...] = (),
    connection: Any = None,
) -> Iterator[Any]:
    """The host, for whose root these lines are set."""
    said = {
        "/etc/os-release": [*MACHINE, "sshd yes", "way 192.0.2.7 5 192.0.2.9 22"],
        "asked()": gone or ["asked 1"],
        "authorizedkeysfile": answer(content, *unproven),
    }
    with fake(said, login_keys={"root": list(lines)} if lines else {}) as found:
        reached(found, connection or logged_in(OLD.blob))
        yield found


def test_nothing_is_asked_or_touched_where_nobody_is_named() -> None:
    with host(KEY):
        assert (commands(login_keys.let_in), [*login_keys.refusals()], questions.keys()) == ([], [], [])
        assert LoginKeysFact not in [item[0] for item in questions.brief()]
    with host(KEY, KEY):
        assert (LoginKeysFact, ("root",)) in questions.brief()


def test_files_that_are_right_are_left_and_others_written_proven_and_tried() -> None:
    with host(text([KEY]), KEY):
        assert commands(login_keys.let_in) == []
    with host(f"{KEY}\n{NEW}", KEY):
        change, proof, disarm, tried, note = commands(login_keys.let_in)
        assert "written root /root/.ssh/authorized_keys 600 <armed/keys.0" in str(change)
        assert (str(disarm).splitlines()[0], note) == (
            "cd /var/lib/smarteros",
            "rm -f /var/lib/smarteros/login-keys-gone",
        )
        assert proof.function is not tried.function
    with host(NEW, NEW, KEY):  # nothing goes
        assert len(commands(login_keys.let_in)) == 3


def test_what_an_earlier_run_has_not_proven_is_tried_and_nothing_else_is_done() -> None:
    unproven = (
        f"unproven root {OTHER.public} new@laptop",
        f"unproven eve {OLD.public}",
        f"unproven root {OLD.public}",
    )
    with host(text([KEY]), KEY, unproven=unproven) as there:
        tried, note = commands(login_keys.let_in)
        assert tried.function(there.state, there) is True
        assert note == "rm -f /var/lib/smarteros/login-keys-gone"


@pytest.mark.parametrize(
    ("gone", "works", "said"),
    [
        (["asked 1"], True, "login_keys: 1 of 1 keys that have gone are refused"),
        (
            ["session 0 17 from 192.0.2.1", "asked 1"],
            True,
            "process 17 from 192.0.2.1: `kill 17` on @fake/one ends it",
        ),
        (
            ["also 0 /home/ana/.ssh/authorized_keys", "asked 1"],
            True,
            "may let in as somebody else: /home/ana/.ssh/authorized_keys",
        ),
        (
            ["opens 0 /bin/ask:2", "asked 1"],
            False,
            f"{OTHER} was taken away on @fake/one and still lets in as root: sshd finds it at /bin/ask:2",
        ),
        (
            ["unknown 0 no route", "asked 1"],
            False,
            f"whether {OTHER} still lets in as root on @fake/one is not known: no route",
        ),
    ],
)
def test_a_key_that_has_gone_is_refused_or_the_run_fails(
    gone: list[str], works: bool, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with host(f"{KEY}\n{NEW}", KEY, gone=gone) as there, caplog.at_level("INFO"):
        tried = commands(login_keys.let_in)[3]
        assert tried.function(there.state, there) is works
    assert said in caplog.text


def test_the_key_by_which_a_run_is_logged_in_is_known_and_a_certificate_is_none_of_a_file() -> None:
    assert login_keys.own_blob(logged_in(OLD.blob)) == OLD.blob
    assert login_keys.own_blob(logged_in(OLD.blob, "ssh-ed25519-cert-v01@openssh.com")) == b""
    assert login_keys.own_blob(logged_in(OLD.blob, certificate=object())) == b""
    assert login_keys.own_blob(client()) == b""


def test_a_run_that_would_shut_itself_out_is_refused() -> None:
    with host(f"{KEY}\n", NEW):
        (line_,) = login_keys.refusals()
        assert line_.startswith(f"login_keys.root: this run is logged in by {OLD}, and it is not listed")
    with host(f"{KEY}\n", NEW, connection=logged_in(OTHER.blob)):
        assert [*login_keys.refusals()] == []


def test_without_ssh_keys_are_left_as_they_are_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with host(KEY, NEW) as there, caplog.at_level("INFO"):
        there.connector.client = None
        assert (commands(login_keys.let_in), [*login_keys.refusals()]) == ([], [])
    assert "login_keys: keys are left as they are: this run has not come over SSH" in caplog.text


def test_what_is_ours_is_looked_at_for_drift() -> None:
    with host(KEY, KEY):
        assert FILE in drift.wanted()["files"]
        assert drift.wanted()["keys"] == ["root"]
    with host(KEY):
        assert drift.wanted()["keys"] == []

"""Wire: a command arrives as it was, through any login shell, and what comes back is text, whatever bytes it was."""

import socket
import subprocess

import paramiko.client
import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from tasks.connection.wire import lay, text, wired

HOSTILE = "a'b\"c`d$e\\f!g\\'h\\\\i\n j\tü%s%%(k)[l]{m}#n~o*p;q&r|s<t>u^v\\0w\\nx"


def through(shell: str, words: str) -> str:
    return subprocess.run([shell, "-c", words], capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_command_arrives_as_it_was(shell: str) -> None:
    words = "printf %s '" + HOSTILE.replace("'", "'\"'\"'") + "'"
    assert through(shell, wired(words)) == HOSTILE


@given_settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_any_text_arrives_as_it_was(given_text: str) -> None:
    words = "printf %s '" + given_text.replace("'", "'\"'\"'") + "'"
    assert through("sh", wired(words)) == given_text


def test_what_travels_is_one_word_in_single_quotes_that_no_shell_changes() -> None:
    travelled = wired(HOSTILE)
    assert travelled.isascii()
    assert travelled.isprintable()
    start, packed, end = travelled.split("'")
    assert (start, end) == ("sh -c ", "")
    assert not set("!`\n").intersection(packed)
    assert "\\\\" not in packed


def test_the_exit_code_and_standard_input_are_the_commands() -> None:
    done = subprocess.run(
        ["sh", "-c", wired("cat; exit 7")], input="in\n", capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("in\n", 7)


def test_bytes_that_are_no_text_end_nothing() -> None:
    assert list(text([b"Gr\xfc\xdfe\n", b"one\n", b"two"])) == ["Gr��e", "one", "two"]


def test_a_connection_sends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paramiko.client, "Transport", paramiko.Transport)
    lay()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as ours,
    ):
        transport = vars(paramiko.client)["Transport"](ours)
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        transport.close()


class Channel:
    """What a jump host gives: it has nothing to be set."""

    def __init__(self, inner: socket.socket) -> None:
        self.recv, self.send, self.close, self.settimeout = (
            inner.recv,
            inner.send,
            inner.close,
            inner.settimeout,
        )


def test_the_way_through_a_jump_host_is_taken_as_it_is() -> None:
    lay()
    ours, theirs = socket.socketpair()
    with theirs:
        vars(paramiko.client)["Transport"](Channel(ours)).close()

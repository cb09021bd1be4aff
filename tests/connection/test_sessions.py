"""Sessions: a command that sshd has no room for waits for its turn; other refusals are told at once."""

import logging
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from paramiko import ChannelException, SSHException

from tasks.connection import sessions


class Transport:
    """Takes two sessions at a time, as an sshd with `MaxSessions 2` does."""

    def __init__(self) -> None:
        self.open, self.most, self.refused = 0, 0, 0

    def open_session(self, **_: Any) -> "Transport":
        """One more, or the refusal that sshd gives."""
        if self.open == 2:
            self.refused += 1
            if self.refused % 2:
                raise SSHException("Unable to open channel.")
            raise ChannelException(2, "Connect failed")
        self.open += 1
        self.most = max(self.most, self.open)
        return self

    def close(self) -> None:
        """One less."""
        self.open -= 1


def on(transport: Transport) -> Any:
    """A host with that connection."""
    client = SimpleNamespace(get_transport=lambda: transport)
    return SimpleNamespace(connector=SimpleNamespace(client=client))


def test_what_sshd_has_no_room_for_waits_for_its_turn() -> None:
    transport = Transport()
    sessions.patient(on(transport))
    sessions.patient(on(transport))

    def command() -> str:
        channel = transport.open_session(timeout=10)
        gevent.sleep(0.05)
        channel.close()
        return "done"

    jobs = [gevent.spawn(command) for _ in range(7)]
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == ["done"] * 7
    assert (transport.most, transport.refused > 0) == (2, True)


@pytest.mark.parametrize(
    ("patience", "refusal"),
    [
        (900, ChannelException(1, "Administratively prohibited")),
        (900, SSHException("SSH session not active")),
        (-1, ChannelException(2, "Connect failed")),
    ],
)
def test_another_refusal_or_one_that_does_not_end_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, patience: int, refusal: SSHException
) -> None:
    monkeypatch.setattr(sessions, "_PATIENCE", patience)
    transport = Transport()
    tried: list[int] = []

    def refuse(**_: Any) -> None:
        tried.append(1)
        raise refusal

    monkeypatch.setattr(transport, "open_session", refuse)
    sessions.patient(on(transport))
    with pytest.raises(SSHException) as told:
        transport.open_session()
    assert (told.value, tried) == (refusal, [1])


def test_a_host_without_a_connection_has_nothing_to_wait_for() -> None:
    sessions.patient(SimpleNamespace(connector=object()))  # type: ignore[arg-type]


def test_only_what_is_tried_again_stays_out_of_the_output() -> None:
    def told(text: str) -> bool:
        record = logging.LogRecord("paramiko.transport", logging.ERROR, "", 0, text, None, None)
        return sessions._worth_telling(record)

    assert not told("Secsh channel 10 open FAILED: open failed: Connect failed")
    assert told("Socket exception: Connection reset by peer (104)")

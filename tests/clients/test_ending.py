"""Ending: signals that this process sends itself, while visits are at work in greenlets of it."""

import os
import signal
from collections.abc import Callable, Iterator

import gevent
import pytest

from tasks.clients import ending
from tasks.model.visitor import Ended, Failed
from tests.signals import ENDING, heard


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in ENDING]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with heard():
        before = handlers()
        yield
        assert handlers() == before
    assert ending._state == ending._State(before=ending._state.before)


def visiting(work: Callable[[], object]) -> gevent.Greenlet:
    """A visit that does this; what has ended it, in words."""

    def visit() -> str:
        try:
            with ending.visit():
                work()
        except (Ended, Failed) as error:
            return f"{type(error).__name__} {error}"
        return "done"

    job = gevent.spawn(visit)
    gevent.sleep(0)
    return job


def ask_on() -> None:
    """One request after the other."""
    while True:
        ending.go_on()
        gevent.sleep(0.01)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_each_visit_at_its_next_request_and_what_it_has_made_is_removed(number: int) -> None:
    done: list[str] = []

    def removed() -> None:
        ending.go_on()
        gevent.sleep(0.05)
        ending.go_on()
        done.append("removed")

    def work() -> None:
        with ending.Leaving() as leaving:
            leaving.callback(removed)
            ask_on()

    with ending.listening():
        jobs = [visiting(work), visiting(work), visiting(lambda: gevent.sleep(0.2))]
        os.kill(os.getpid(), number)
        assert [job.get(timeout=2) for job in jobs] == [
            *[f"Ended by {signal.Signals(number).name}"] * 2,
            "done",  # a request that is under way is answered
        ]
        assert visiting(ask_on).get(timeout=1) == f"Ended by {signal.Signals(number).name}"
        assert ending.ended() == f"by {signal.Signals(number).name}"
    assert done == ["removed"] * 2
    assert ending.ended() == ""


def test_who_waits_for_long_is_ended_there_but_not_while_it_removes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_GRACE", 0.1)
    done: list[str] = []

    def removed() -> None:
        gevent.sleep(1.5)
        done.append("removed")

    def work() -> None:
        with ending.Leaving() as leaving:
            leaving.callback(removed)
            gevent.sleep(60)

    with ending.listening():
        job = visiting(work)
        os.kill(os.getpid(), signal.SIGTERM)
        assert job.get(timeout=4) == "Ended by SIGTERM"
    assert done == ["removed"]


def test_what_cannot_be_removed_in_time_is_given_up_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_GRACE", 0)
    monkeypatch.setattr(ending, "_MOST", 1)

    def work() -> None:
        with ending.Leaving() as leaving:
            leaving.callback(ending.go_on)
            leaving.callback(gevent.sleep, 60)
            ask_on()

    with ending.listening():
        job = visiting(work)
        os.kill(os.getpid(), signal.SIGTERM)
        assert job.get(timeout=4) == "Ended there was no answer within 1 s"


def test_the_end_of_one_check_does_not_press_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_GRACE", 0.2)
    with ending.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        gevent.sleep(0.01)
    monkeypatch.setattr(ending, "_GRACE", 3)
    with ending.listening():
        job = visiting(lambda: gevent.sleep(0.5))
        os.kill(os.getpid(), signal.SIGTERM)
        assert job.get(timeout=2) == "done"


def test_a_removal_that_fails_hides_not_that_the_visit_was_ended() -> None:
    found: list[BaseException | None] = []

    def gone() -> None:
        raise Failed("DELETE /made: HTTP 502") from None

    def work() -> None:
        try:
            with ending.Leaving() as leaving:
                leaving.callback(gone)
                ask_on()
        except Failed as error:
            found.append(error.__context__)
            raise

    with ending.listening():
        job = visiting(work)
        os.kill(os.getpid(), signal.SIGTERM)
        assert job.get(timeout=2) == "Failed DELETE /made: HTTP 502"
    assert [str(one) for one in found] == ["by SIGTERM"]


def test_checks_of_several_hosts_listen_together_and_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending.listening():
            with ending.listening():
                os.kill(os.getpid(), signal.SIGHUP)
                gevent.sleep(0.05)
                assert ending.ended() == ""
            os.kill(os.getpid(), signal.SIGTERM)
            assert visiting(ask_on).get(timeout=1) == "Ended by SIGTERM"
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

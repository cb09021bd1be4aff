"""Ending: while a host is checked, a signal that would end the program ends each visit, which first removes what it has made.

Else SIGTERM and SIGHUP end it wherever it is, and so does Ctrl-C (tasks/connection/exit_code.py). A visit is ended between two of
its requests: whatever the answer to one names is known, and removed. Who waits longer than a request may take is ended there.
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import gevent
from pyinfra import logger

from tasks.connection import exit_code
from tasks.model.visitor import Ended

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Seconds after the signal, for the request that is under way, and for all that is to be removed.
_GRACE, _MOST = 3, 30


@dataclass
class _State:
    """What has happened: of one program, whatever the number of hosts that it checks side by side.

    visits: greenlets, with how deep each is in removing. over: nobody has time left, removing or not.
    """

    checks: int = 0
    before: dict[int, Any] = field(default_factory=dict)
    why: str = ""
    over: bool = False
    pressing: Any = None
    visits: dict[Any, int] = field(default_factory=dict)


_state = _State()


@contextmanager
def listening() -> Iterator[None]:
    """From here to the end of the last check a signal ends the visits; one that is ignored (nohup) stays so."""
    if not _state.checks:
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        _state.before = {number: how for number, how in before.items() if how != signal.SIG_IGN}
        for number in _state.before:
            signal.signal(number, _signalled)
    _state.checks += 1
    try:
        yield
    finally:
        _state.checks -= 1
        if not _state.checks:
            for number, how in _state.before.items():
                signal.signal(number, how or signal.SIG_DFL)
            gevent.killall([_state.pressing] if _state.pressing else [], block=False)
            _state.why, _state.over, _state.pressing = "", False, None


@contextmanager
def visit() -> Iterator[None]:
    """What is done here can be ended. Raises Ended."""
    _state.visits[gevent.getcurrent()] = 0
    try:
        go_on()
        yield
    finally:
        del _state.visits[gevent.getcurrent()]
        if _state.why:
            gevent.sleep(0)  # what is on its way already arrives here


class Leaving(ExitStack):
    """What is registered is done at the end, and that is not ended but by the clock."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool | None:
        """In the midst of removing from here on."""
        _deeper(1)
        try:
            return super().__exit__(kind, error, where)
        finally:
            _deeper(-1)


def _deeper(by: int) -> None:
    me = gevent.getcurrent()
    if me in _state.visits:
        _state.visits[me] += by


def go_on() -> None:
    """Before each request. Raises Ended."""
    if _state.over:
        raise Ended(f"there was no answer within {_MOST} s")
    if _state.why and not _state.visits.get(gevent.getcurrent()):
        raise Ended(_state.why)


def ended() -> str:
    """By what the checks were ended, if they were."""
    return _state.why


def _signalled(number: int, _frame: object) -> None:
    if number == signal.SIGINT:
        exit_code.interrupted()
    if not _state.why:
        _state.why = f"by {signal.Signals(number).name}"
        _state.pressing = gevent.spawn(_pressed)


def _pressed() -> None:
    """Who has not come to a request by itself."""
    logger.info(f"ended {_state.why}: what the check has made is removed")
    passed = _GRACE
    gevent.sleep(_GRACE)
    while True:
        _state.over = passed >= _MOST
        for greenlet, depth in list(_state.visits.items()):
            if _state.over or not depth:
                said = f"there was no answer within {passed} s"
                gevent.kill(greenlet, Ended(said if depth else _state.why))
        passed += 1
        gevent.sleep(1)

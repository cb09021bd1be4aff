"""Signals as a terminal's program has them, however the tests were started."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def heard() -> Iterator[None]:
    """None is ignored meanwhile, here and in what is started: nohup has SIGHUP ignored, and `&` in a shell's script SIGINT."""
    usual = {signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, usual.get(number, signal.SIG_DFL)) for number in ENDING}
    try:
        yield
    finally:
        for number, how in before.items():
            signal.signal(number, how)

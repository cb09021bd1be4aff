"""At work: a command of a host's that takes long is said to, now and then. On a terminal pyinfra's spinner does that."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat

import gevent
from pyinfra import progress
from pyinfra.api.host import Host

# Seconds until it is said first, and again.
_FIRST, _THEN = 15, 30


@contextmanager
def said(target: Host, *, really: bool) -> Iterator[None]:
    """Meanwhile, for as long as it takes. really: it is run, and not only planned."""
    if progress.IS_TTY or not really:
        yield
        return
    began = time.monotonic()

    def say() -> None:
        gevent.sleep(_FIRST)
        for seconds in repeat(_THEN):
            target.log(f"at work for {time.monotonic() - began:.0f} s")
            gevent.sleep(seconds)

    saying = gevent.spawn(say)
    try:
        yield
    finally:
        saying.kill(block=False)

"""Exit code: another one than pyinfra's 0, for a run in which nothing has failed, as programs that call it want to know more,
and for one that Ctrl-C has ended.
"""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyinfra import logger

INTERRUPTED = 130  # 128 and the number of the signal, as shells have it
_NONE = "No changes"


def leave(code: int) -> None:
    """From now on pyinfra ends with it unless a host has failed, which stays 1. There is something to do, which its last line denied."""
    logger.addFilter(_untouched)
    command_line: Any = sys.modules.get("pyinfra_cli.cli")
    if command_line is None:
        return
    failed = command_line.ctx_state

    def end() -> None:
        sys.exit(1 if failed.isset() and command_line.state.failed_hosts else code)

    command_line._exit = end  # noqa: SLF001  pyinfra has no other door for it


def interruptible() -> None:
    """From now on one Ctrl-C ends pyinfra. By itself it would call that a success, and before its hosts are left it would
    wait for whatever is under way on them, for ever where that has no end: for each it wants a place among those.
    """
    command_line: Any = sys.modules.get("pyinfra_cli.cli")
    if command_line is None:
        return

    def end(_number: int, _frame: object) -> None:
        sys.stderr.write("ended; the same command goes on where it was\n")
        pool = getattr(command_line.ctx_state.get(), "pool", None) if command_line.ctx_state.isset() else None
        if pool is not None:
            pool.kill(block=False)
        sys.exit(INTERRUPTED)

    signal.signal(signal.SIGINT, end)


@contextmanager
def asked() -> Iterator[None]:
    """Within, Ctrl-C is a no to pyinfra's question: nothing has begun that a second run would go on with."""

    def end(_number: int, _frame: object) -> None:
        sys.stderr.write("\nended, and nothing was done\n")
        sys.exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def interrupted() -> None:
    """From now on pyinfra ends as one that Ctrl-C has ended, whatever fails until then (tasks/clients/ending.py)."""
    command_line: Any = sys.modules.get("pyinfra_cli.cli")
    if command_line is None:
        return
    command_line._exit = lambda: sys.exit(INTERRUPTED)  # noqa: SLF001  as above
    command_line.WrappedError.exit_code = INTERRUPTED  # where no host is left


def _untouched(record: logging.LogRecord) -> bool:
    record.msg = str(record.msg).replace(_NONE, "Nothing was touched")
    return True

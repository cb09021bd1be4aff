"""`python3 -m double PROGRAM ARGUMENT…`: which double runs, and how its refusal looks."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from types import FrameType

from double.contract import Refused

PROGRAMS = ("chatwoot", "botpress", "duckling", "metabase", "dokploy")


def stop(number: int, frame: FrameType | None) -> None:
    """Ends the program from whatever it waits for, also as process 1, for which there is no default."""
    raise SystemExit(0)


def main() -> None:
    """Run the double; a refusal is one message and its exit status."""
    program, *arguments = sys.argv[1:] or [""]
    if program not in PROGRAMS:
        sys.exit(f"usage: python3 -m double {'|'.join(PROGRAMS)} [ARGUMENT...]")
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # The program itself takes its time; a double only where it is asked to, as the bench of visitors does.
    time.sleep(float(os.environ.get("DOUBLE_STARTS_IN", "0")))
    try:
        importlib.import_module(f"double.{program}").run(arguments, dict(os.environ))
    except Refused as refusal:
        print(f"{program}: cannot start\n{refusal}", file=sys.stderr)
        sys.exit(refusal.status)


if __name__ == "__main__":
    main()

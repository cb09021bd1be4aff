"""Printed: what a command says on standard output, where programs and pipes read it."""

import json
import sys
from typing import Any

from tasks.run import Refused


def printed(text: str) -> None:
    """One line, or several, at once. Raises Refused where nothing takes them: a full disk, or a pipe that was closed."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        raise Refused(
            f"standard output takes nothing ({error.strerror}): what was to be printed is lost"
        ) from None


def data(made: Any) -> None:
    """One JSON object. Raises Refused, as above."""
    printed(json.dumps(made, indent=2))

"""Where all of it is, and what programs say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(os.environ.get("DRIFT_ROOT", "/"))


def said(*command: str) -> list:
    """The lines that a program prints; none where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()


def told(*command: str) -> list:
    """The same of a program without which nothing is known."""
    return (
        said(*command)
        or said(*command)
        or sys.exit(f"{command[0]} does not answer, so what differs is not known")
    )


def stamp(seconds: float) -> str:
    """UTC, as everywhere."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

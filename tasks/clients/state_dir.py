"""What this machine keeps of each host: one folder for each, its files readable by who deploys alone."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.run import host, stack


def folder() -> Path:
    """The host's."""
    return Path(stack().state_dir).expanduser() / host().name.lstrip("@")


def store(path: Path, value: Mapping[str, Any]) -> None:
    """As JSON."""
    store_text(path, json.dumps(value))


def store_text(path: Path, text: str) -> None:
    """Durable before anybody relies on it: 0600, renamed into place."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with os.fdopen(
        os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)

"""Dockerfiles of ours, below ``files/``: which images they are built from."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "files"

_ARGUMENT = re.compile(r"^ARG (\w+)=(\S+:\S+)$", re.MULTILINE)


@cache
def images(build: str) -> Mapping[str, str]:
    """Build argument → the image that a FROM takes unless the argument says otherwise. One without a value comes with the build."""
    text = (FOLDER / build / "Dockerfile").read_text("utf-8")
    taken = set(re.findall(r"^FROM \$\{?(\w+)", text, re.MULTILINE))
    return {name: image for name, image in _ARGUMENT.findall(text) if name in taken}

"""Outdated: what the host has found when it asked registries by itself (files/outdated.py); asked within StatusFact."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.model.shapes import shown

# One line.
FOUND = "/var/lib/smarteros/outdated/found.json"


@dataclass(frozen=True)
class Image:
    """newer: the newest tag of its line, empty where it has that. moved: whether its tag stands for another image than it is
    pinned to. ended: the day until which upstream has supported it. unknown: whether its registry was silent.
    """

    newer: str = ""
    moved: bool = False
    ended: str = ""
    unknown: bool = False


@dataclass(frozen=True)
class Outdated:
    """asked: when (seconds), 0 for never. images: by tag, those that were asked about."""

    asked: int = 0
    images: Mapping[str, Image] = field(default_factory=dict)


def outdated(text: str) -> Outdated:
    """The program's JSON; nothing of none, or of what a power cut has left of it."""
    try:
        found = json.loads(text)
        images = {str(name): _image(item) for name, item in found["images"].items()}
        return Outdated(int(found["asked"]), images)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Outdated()


def _image(found: Mapping[str, Any]) -> Image:
    return Image(
        shown(str(found.get("newer", ""))),
        bool(found.get("moved")),
        shown(str(found.get("ended", ""))),
        bool(found.get("unknown")),
    )

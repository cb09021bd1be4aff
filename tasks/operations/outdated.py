"""Outdated: what the host has found of the images in use when it asked by itself, for people's eyes and as data. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tasks.facts.outdated import Image, Outdated
from tasks.model.targets import target
from tasks.model.words import ago

_SHOWN = 3


def words(found: Outdated, images: Collection[str], clock: float) -> str:
    """How many are outdated, and since when that is known. It is no more than a hint: some lines have ended for good."""
    if not found.asked:
        return "not asked about yet; the host does so weekly, and at once by systemctl start smarteros-outdated there"
    there = {name: item for name, item in found.images.items() if name in images}
    kinds = {
        "with newer tags": [name for name, item in there.items() if item.newer],
        "pinned to what its tag was before": [name for name, item in there.items() if item.moved],
        "past the end of support": [name for name, item in there.items() if item.ended],
    }
    parts = [f"{len(names)} of {len(images)} {how} ({_few(names)})" for how, names in kinds.items() if names]
    unknown = [name for name in images if name not in there or there[name].unknown]
    parts += [f"nothing known of {len(unknown)} ({_few(unknown)})"] if unknown else []
    age = ago(max(0, int(clock - found.asked)))
    more = f": {target('outdated')} says more" if parts else ""
    return f"{', '.join(parts) or 'nothing newer'}, asked {age} ago{more}"


def _few(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def data(
    found: Outdated, images: Collection[str], time: Callable[[float], str | None]
) -> dict[str, Any] | None:
    """The same as JSON has it; None where the host has not asked yet. time: seconds → text."""
    there = {name: _known(item) for name, item in found.images.items() if name in images}
    return {"asked": time(found.asked), "images": there} if found.asked else None


def _known(found: Image) -> Mapping[str, Any]:
    return {key: None if value == "" else value for key, value in asdict(found).items()}

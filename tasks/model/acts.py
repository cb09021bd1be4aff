"""Acts: what an operator has to do after an update of this package: the numbered lines of CHANGELOG.md. Pure, but for that file.

A host that was made by this version has none of them to do; it remembers up to which they are done (``.acts`` of its records), since
the setting ``acknowledged`` says so, or since it was new.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

_FILE = Path(__file__).resolve().parents[2] / "CHANGELOG.md"
_ACT = re.compile(r"^- \*\*(\d+)\.\*\* (.+(?:\n  .+)*)", re.MULTILINE)


def parsed(text: str) -> dict[int, str]:
    """Number → what is to be done, on one line."""
    return {int(number): re.sub(r"\s*\n\s*", " ", line) for number, line in _ACT.findall(text)}


@cache
def every() -> Mapping[int, str]:
    """Those of this package."""
    return parsed(_FILE.read_text("utf-8"))


def newest() -> int:
    """The highest number; 0 where there is none."""
    return max(every(), default=0)


def refusals(acknowledged: int, noted: int | None) -> Iterator[str]:
    """Why a host cannot be deployed to: what is to be done first. noted: by the host, 0 for none; None: nothing of ours is there yet."""
    if acknowledged > newest():
        yield f"acknowledged: is {acknowledged}, and CHANGELOG.md has numbers up to {newest()}"
    if noted is None:
        return
    open_acts = {number: text for number, text in every().items() if number > max(acknowledged, noted)}
    if open_acts:
        lines = "".join(f"\n        {number}. {text}" for number, text in sorted(open_acts.items()))
        yield f"acknowledged: an earlier version of this package made the host, and this one leaves something to you. Once it is done, or not about you, set acknowledged = {newest()}:{lines}"

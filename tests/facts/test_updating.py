"""Updating: runs and the restore point, as the host has noted them."""

import json

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.updating import Updating, UpdatingFact

CHANGED = ("Generation | rendered files and their links", "Services | n8n Workflows")
ENDED = {
    "started": "2026-11-28T12:00:00Z",
    "seconds": 9,
    "operator": "ann@laptop",
    "generation": "d7",
    "result": "failed",
    "at": "Services | n8n Workflows",
    "changed": CHANGED,
}


def test_the_present_run_is_the_last() -> None:
    found = UpdatingFact().process(
        [
            "clock 1795867300",
            "point 1795867212.250001 d8",
            f"run {json.dumps(ENDED)}",
            "unfinished epoch 1795867290",
            'unfinished change "Lock"',
        ]
    )
    assert (found.clock, found.point) == (1795867300.0, 1795867212.250001)
    assert [(item.started, item.changed) for item in found.runs] == [
        (1795867200.0, CHANGED),
        (1795867290.0, ("Lock",)),
    ]


def test_a_host_without_any() -> None:
    assert UpdatingFact().process(["clock 1"]) == Updating((), 0, 1)
    with pytest.raises(FactProcessError, match="cannot read what the host has noted of its runs"):
        UpdatingFact().process(["clock soon"])

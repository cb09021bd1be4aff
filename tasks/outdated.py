"""Outdated: the host asks weekly which of its images are outdated, for make status, Prometheus and who is told (files/outdated.py)."""

from tasks.operations.units import units
from tasks.rendering import outdated_files
from tasks.rendering.render import CURRENT


def run() -> None:
    """The phase."""
    units(outdated_files.units(CURRENT), name="Outdated | the host asks weekly which images are outdated")

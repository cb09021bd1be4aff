"""Restores that are killed somewhere, chosen anew each time; `make test-faults` takes every point.

SMARTEROS_FAULT_SEED repeats a choice.
"""

from random import Random

from tests.e2e.backed import Backed
from tests.e2e.test_faults import SEED
from tests.faults.restoring import Restoring

ONE_IN = 50


def test_a_restore_and_its_undoing_that_are_killed_again_and_again_are_ended_by_a_re_run(
    backed: Backed,
) -> None:
    print(f"SMARTEROS_FAULT_SEED={SEED}")
    restoring = Restoring(backed, Random(SEED), ONE_IN)
    restoring.script.follow()
    try:
        restoring.restored()
        restoring.undone()
    finally:
        print("killed at", *restoring.script.killed)
        restoring.script.leave()

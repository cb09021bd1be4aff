"""Convergence: a second run changes nothing; whatever is broken, one run repairs exactly that."""

from tests.e2e.deployment import Deployment


def test_a_second_run_changes_nothing(deployed: Deployment) -> None:
    deployed.unchanged()

"""The same lab and hosts as the tests of `make test`."""

from tests.e2e.conftest import bare, deployed, first_run, lab, spare

__all__ = ["bare", "deployed", "first_run", "lab", "spare"]

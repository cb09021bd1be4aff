"""The same lab and hosts as the tests of `make test`."""

from tests.e2e.conftest import bare, deployed, lab, lab_name, spare

__all__ = ["bare", "deployed", "lab", "lab_name", "spare"]

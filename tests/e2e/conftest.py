"""One lab with one deployed host for the whole session; tests that need a bare host make their own."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment
from tests.lab import smarteros
from tests.lab.lab import Lab


@pytest.fixture(scope="session")
def lab_name(worker_id: str) -> str:
    """The name of this worker's lab; SMARTEROS_TEST_LAB is that of one that stays up."""
    return os.environ.get("SMARTEROS_TEST_LAB") or f"test-{worker_id}"


@pytest.fixture(scope="session")
def lab(lab_name: str) -> Iterator[Lab]:
    """The lab of this worker, with the one host that `make up` makes, bare or not."""
    lab = Lab(lab_name)
    smarteros.prepare(lab, ["lab-1"])
    yield lab
    if "SMARTEROS_TEST_LAB" not in os.environ:
        lab.down()


@pytest.fixture(scope="session")
def deployed(lab: Lab) -> Deployment:
    """The host ``lab-1``, deployed. A test that changes it leaves it converged to the lab's own settings."""
    deployment = Deployment(lab, lab.host("lab-1"))
    deployment.converge()
    return deployment


@pytest.fixture
def bare(lab: Lab) -> Iterator[Deployment]:
    """A fresh bare host of its own, removed afterwards with all it stored."""
    yield Deployment(lab, lab.add_host("bare"))
    lab.remove_host("bare")
    shutil.rmtree(lab.state.folder / "state" / "bare", ignore_errors=True)


@pytest.fixture(scope="session")
def spare(lab: Lab) -> Iterator[Deployment]:
    """A second host, bare at first, for other ways to deploy: every test takes what the last one left."""
    yield Deployment(lab, lab.add_host("spare"))
    lab.remove_host("spare")
    shutil.rmtree(lab.state.folder / "state" / "spare", ignore_errors=True)

"""One lab with one deployed host for the whole session; tests that need a bare host make their own."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.e2e import canary
from tests.e2e.canary import FirstRun
from tests.e2e.deployment import Deployment
from tests.lab import smarteros
from tests.lab.lab import Lab


@pytest.fixture(scope="session")
def lab(worker_id: str) -> Iterator[Lab]:
    """The lab of this worker, with one bare host at least; SMARTEROS_TEST_LAB names one that stays up."""
    kept = os.environ.get("SMARTEROS_TEST_LAB")
    lab = Lab(kept or f"test-{worker_id}")
    smarteros.prepare(lab, ["main"])
    yield lab
    if not kept:
        lab.down()


@pytest.fixture(scope="session")
def first_run(lab: Lab) -> FirstRun:
    """The first deploy of the host ``main``, of which nothing secret may show."""
    return canary.first_run(Deployment(lab, lab.host("main")))


@pytest.fixture(scope="session")
def deployed(lab: Lab, first_run: FirstRun) -> Deployment:
    """The deployed host ``main``. A test that changes it leaves it converged to the lab's own settings."""
    return Deployment(lab, lab.host("main"))


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

"""One lab with one deployed host for each worker, for tests that need one; and the order of the tests: after what says most about a
deploy comes what has many tests for its time, and the two groups that have a host with backups end it, one for each worker: a machine
that is too slow for all (.ci/test) has seen most tests by then.
"""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Of `make test`, which calls this: the makes below it would take it for the one above them, and name the folders they enter.
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"):
    os.environ.pop(name, None)

# What asserts beside the test files.
pytest.register_assert_rewrite(
    "tests.e2e.backed",
    "tests.e2e.canary",
    "tests.e2e.clients",
    "tests.e2e.deployment",
    "tests.e2e.vault_access",
    "tests.e2e.well",
    "tests.faults.proof",
    "tests.faults.recovery",
    "tests.faults.restoring",
    "tests.faults.script",
    "tests.hosts.conditions",
)

from tests.e2e import backed as backups  # noqa: E402
from tests.e2e.backed import Backed  # noqa: E402
from tests.e2e.deployment import Deployment  # noqa: E402  only now are its assertions rewritten
from tests.e2e.well import not_well, wait_for  # noqa: E402
from tests.lab import smarteros, state  # noqa: E402
from tests.lab.lab import Lab  # noqa: E402

# The first two are the first deploys of two workers' hosts: what comes after finds them deployed.
FIRST = ("test_canary.py", "test_make.py", "test_convergence.py", "test_faults.py")
# Few tests that take long, most of them on a bare host of their own; the longest last.
LAST = (
    "test_cluster.py",
    "test_nodes.py",
    "test_swarm_spec.py",
    "test_bad_image.py",
    "test_reboot.py",
    "test_takeover.py",
    "test_lock_out.py",
    "test_rebuild.py",
    "test_external_vault.py",
    "test_mail.py",
    "test_vault.py",  # it has the first Vault of the host `spare`
    "test_sudo.py",
    "test_debian12.py",
    "test_secrets.py",
)


# Each of these shares a host with backups, and so a worker: it is deployed once. In this order: test_bucket.py ends its own.
BACKED = {
    "drilled": ("test_drill.py", "test_proofs.py", "test_update.py", "test_bucket.py"),
    "restored": (
        "test_restore.py",
        "test_restore_kills.py",
        "test_losses.py",
        "test_backup.py",
        "test_stolen_key.py",
    ),
}
_GROUPS = {file: group for group, files in BACKED.items() for file in files}


# A host that was shut down is well again after at most so many seconds, on a machine with much else to do.
BOOT_SECONDS = 600


class ByHost(LoadFileScheduling):  # type: ignore[misc]
    """As ``--dist loadfile``, with files that share a host on one worker. (xdist's own groups do nothing with pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return _GROUPS.get(Path(file).name, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Theirs where another way was asked for."""
    return ByHost(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts by file; within a file all stays as it is."""
    order = [*FIRST, "", *LAST, *_GROUPS]

    def place(item: pytest.Item) -> int:
        of_the_lab = item.path.parent.name in ("e2e", "hosts")
        return order.index(item.path.name if of_the_lab and item.path.name in order else "")

    items.sort(key=place)


# The lab of this worker, once it is up.
_LAB = pytest.StashKey[Lab]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """No test begins too late (.ci/test). A host that idles takes a tenth of a machine: ``lab-1`` is off while tests have the one with
    backups, which they do for long and but once; then that is.
    """
    if time.time() > float(os.environ.get("SMARTEROS_TEST_UNTIL", "inf")):
        pytest.skip(f"not reached in time: {item.path.name}")
    if lab := item.config.stash.get(_LAB, None):
        uses = {"backed", "deployed"} & set(getattr(item, "fixturenames", ()))
        for name, off in (("lab-1", "backed" in uses), ("backed", "backed" not in uses)):
            if off and name in lab.description.hosts and lab.host(name).container().status == "running":
                lab.host(name).off()
        if "deployed" in uses and lab.host("lab-1").container().status != "running":
            lab.host("lab-1").on()
            _until_well(Deployment(lab, lab.host("lab-1")))


def _until_well(host: Deployment) -> None:
    if host.host.run("command -v docker", check=False).returncode == 0:
        wait_for(lambda: not_well(host), {}, BOOT_SECONDS)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's hosts in a file of their own: pins stand beside it, and hold for no other test."""
    folder = tmp_path_factory.mktemp("pinned")
    (folder / ".lab").symlink_to(state.FOLDER)
    file = folder / "inventories" / "lab.py"
    file.parent.mkdir()
    shutil.copy(smarteros.ROOT / "inventories/lab.py", file)
    return file


@pytest.fixture(scope="session")
def lab_name(worker_id: str) -> str:
    """The name of this worker's lab; SMARTEROS_TEST_LAB is that of one that stays up."""
    return os.environ.get("SMARTEROS_TEST_LAB") or f"test-{worker_id}"


@pytest.fixture(scope="session")
def lab(lab_name: str, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab of this worker, with the one host that `make up` makes, bare or not."""
    lab = Lab(lab_name)
    smarteros.prepare(lab, ["lab-1"])
    if "SMARTEROS_TEST_LAB" in os.environ:
        yield lab
    else:
        request.config.stash[_LAB] = lab
        yield lab
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
def backed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    """A host ``backed`` with backups, deployed. A test that changes it leaves it converged and without a failed unit."""
    host = Deployment(lab, lab.add_host("backed"))
    found = backups.deployed(host, tmp_path_factory.mktemp("kit") / "kit.json")
    lab.point(smarteros.domains(), "lab-1")
    yield found
    lab.remove_host("backed")
    shutil.rmtree(lab.state.folder / "state" / "backed", ignore_errors=True)


@pytest.fixture(scope="session")
def spare(lab: Lab) -> Iterator[Deployment]:
    """A second host, bare at first, for other ways to deploy: every test takes what the last one left."""
    yield Deployment(lab, lab.add_host("spare"))
    lab.remove_host("spare")
    shutil.rmtree(lab.state.folder / "state" / "spare", ignore_errors=True)

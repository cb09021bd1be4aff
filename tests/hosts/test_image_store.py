"""containerd's image store, which Docker 29 gives new hosts: images pulled and built there are known as everywhere else."""

import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment
from tests.lab.lab import Lab

SERVICES = ["vault", "vault-auth-validator", "caddy"]


@pytest.fixture
def stored(lab: Lab) -> Iterator[Deployment]:
    """A host whose Docker keeps its images in containerd."""
    host = Deployment(lab, lab.add_host("stored", system="docker"))
    host.sh(
        'mkdir -p /etc/docker; echo \'{"features": {"containerd-snapshotter": true}}\' >/etc/docker/daemon.json; '
        "systemctl restart docker"
    )
    yield host
    lab.remove_host("stored")
    shutil.rmtree(lab.state.folder / "state" / "stored", ignore_errors=True)


def test_it_is_deployed_and_a_second_run_changes_nothing(stored: Deployment) -> None:
    store = "docker info --format '{{.DriverStatus}}'"
    assert "io.containerd.snapshotter.v1" in stored.sh(store)
    run = stored.run(services=SERVICES)
    assert run.code == 0, run.output[-6000:]
    assert "io.containerd.snapshotter.v1" in stored.sh(store)
    assert "came from no registry" not in run.output
    again = stored.run(services=SERVICES)
    again.unchanged()

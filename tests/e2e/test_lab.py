"""The lab itself: checkouts on one machine keep their labs apart, and a lab of before is nobody's to take."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import neighbours, network
from tests.lab.lab import Lab
from tests.lab.neighbours import Neighbour, NeighbourError
from tests.lab.publish import Registry, target

NAME = "twin"


class Twin:
    """A lab of one name in a checkout of its own, with all that it says."""

    def __init__(self, checkout: Path) -> None:
        checkout.mkdir()
        self.said: list[str] = []
        self.lab = Lab(NAME, self.said.append, checkout / ".lab")
        self.key = self.lab.state.key

    def objects(self) -> list[str]:
        """What Docker has of it."""
        label, docker = {"label": f"{network.LABEL}={self.key}"}, self.lab.client
        found = [
            *docker.containers.list(all=True, filters=label),
            *docker.networks.list(filters=label),
            *docker.volumes.list(filters=label),
        ]
        return sorted(item.name.removeprefix(f"smarteros-lab-{self.key}-") for item in found)

    def restarting(self) -> list[str]:
        """What of it comes back by itself."""
        label = {"label": f"{network.LABEL}={self.key}"}
        found = self.lab.client.containers.list(all=True, filters=label)
        return [
            item.name for item in found if item.attrs["HostConfig"]["RestartPolicy"]["Name"] not in ("", "no")
        ]

    def started(self) -> str:
        """Since when its host is up."""
        return str(self.lab.host("lab-1").container().attrs["State"]["StartedAt"])


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[tuple[Twin, Twin]]:
    """Two checkouts without a lab."""
    one, two = Twin(tmp_path / "one"), Twin(tmp_path / "two")
    yield one, two
    for twin in (one, two):
        network.remove(twin.lab.client, {"label": f"{network.LABEL}={twin.key}"})


ALL = sorted(("edge", "registry", "pebble", "lab-1", "net", "lab-1-docker", "lab-1-containerd"))


def test_two_checkouts_have_a_lab_of_one_name(twins: tuple[Twin, Twin], lab: Lab) -> None:
    one, two = twins
    one.lab.up()
    since, marker = one.started(), "test -e /root/mine"
    one.lab.host("lab-1").run("touch /root/mine")
    two.lab.up()
    assert (one.objects(), two.objects()) == (ALL, ALL)
    assert one.lab.host("lab-1").address != two.lab.host("lab-1").address
    assert not one.restarting()  # with the next dockerd, beside whatever lab works then
    assert two.lab.host("lab-1").run(marker, check=False).returncode == 1

    # What one serves under an upstream name is not what the other gets.
    one.lab.publish(["redis:1"])
    served = [Registry(lab.client, twin.key).manifest(target(twin.key, "redis:1")) for twin in twins]
    assert [found is not None for found in served] == [True, False]

    # Lost folders: what they left behind here is replaced, what others have stays.
    shutil.rmtree(two.lab.state.root)
    two.lab.up()
    assert two.started() > since
    assert one.started() == since
    two.lab.down(purge=True)
    assert (one.objects(), two.objects()) == (ALL, [])
    kept = [line for line in two.said if line.startswith("kept the caches")]
    assert f"twin of {one.lab.state.checkout}" in kept[0]
    assert one.lab.host("lab-1").run(marker, check=False).returncode == 0

    # A checkout that is gone cannot do it itself: it is named, and removed when somebody says so.
    with pytest.raises(NeighbourError) as error:
        neighbours.remove(lab.client, NAME, str(one.lab.state.checkout))
    gone = one.lab.state.checkout
    assert str(error.value) == f"{gone} is there: run `python -m tests.lab down --name twin` in it"
    shutil.rmtree(gone)
    assert [
        line for line in neighbours.forgotten(neighbours.labs(lab.client), two.lab.state) if str(gone) in line
    ] == [
        (
            f"left alone: lab twin of {gone}, which is not there any more; "
            f"to remove it: python -m tests.lab down --name twin --checkout {gone}"
        )
    ]
    neighbours.remove(lab.client, NAME, str(gone))
    assert one.objects() == []


def test_a_lab_of_an_earlier_version_is_named_and_stays(twins: tuple[Twin, Twin], lab: Lab) -> None:
    one, _ = twins
    lab.client.networks.create("smarteros-lab-twin-net", labels={network.LABEL: NAME})
    try:
        one.lab.up()
        one.lab.down()
        assert [line for line in one.said if "earlier" in line] == [
            (
                "left alone: lab twin of an earlier version of this project, which may be anybody's; to remove it, "
                "if nobody needs it: python -m tests.lab down --name twin --checkout unknown"
            )
        ] * 2
        assert Neighbour(NAME) in neighbours.labs(lab.client)
        neighbours.remove(lab.client, NAME, "unknown")
        assert Neighbour(NAME) not in neighbours.labs(lab.client)
        with pytest.raises(NeighbourError, match="no lab twin of unknown is up; these are: "):
            neighbours.remove(lab.client, NAME, "unknown")
    finally:
        network.remove(lab.client, {"label": f"{network.LABEL}={NAME}"})

"""The layers that hosts of the lab share: taken of a Docker's folder without its containers' own, given to a new host as links."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import NotFound

from tests.lab import layers


class _Volumes:
    """As Docker's client has them, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.labels = folder, dict[str, Any]()

    def create(self, name: str, labels: dict[str, str]) -> None:
        (self.folder / name).mkdir()
        self.labels[name] = labels

    def get(self, name: str) -> Any:
        if name not in self.labels:
            raise NotFound(name)

        def remove() -> None:
            del self.labels[name]
            subprocess.run(["rm", "-r", self.folder / name], check=True)

        attrs = {"Mountpoint": str(self.folder / name), "Labels": self.labels[name]}
        return SimpleNamespace(attrs=attrs, remove=remove)


@pytest.fixture
def client(tmp_path: Path) -> Any:
    """Has volumes, of which ``used`` is that of a Docker with one image of one layer, and a container of it."""
    volumes = _Volumes(tmp_path)
    volumes.create("used", {})
    top = tmp_path / "used"
    for folder, texts in {
        "image/overlay2/distribution/diffid-by-digest": {"d": "of"},
        "image/overlay2/imagedb": {"i": "image"},
        "image/overlay2/layerdb/sha256/aa": {"cache-id": "layer1"},
        "image/overlay2/layerdb/mounts/cc": {"mount-id": "own1"},
        "overlay2/layer1/diff": {"program": "text"},
        "overlay2/layer1": {"link": "SHORT"},
        "overlay2/own1": {"link": "OWN"},
        "containers/cc": {"config": "{}"},
    }.items():
        (top / folder).mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (top / folder / name).write_text(text)
    return SimpleNamespace(volumes=volumes)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


KEPT = {
    "image/overlay2/distribution/diffid-by-digest/d",
    "image/overlay2/layerdb/sha256/aa/cache-id",
    "overlay2/layer1/diff/program",
    "overlay2/layer1/link",
}


def test_a_new_host_has_the_layers_and_nothing_else(client: Any, tmp_path: Path) -> None:
    assert layers.kept(client) == ""
    assert layers.keep(client, "used", "these")
    assert layers.kept(client) == "these"
    client.volumes.create("new", {})
    layers.fill(client, "new")
    assert files(tmp_path / "new") == KEPT
    assert (tmp_path / "new/overlay2/l/SHORT").readlink() == Path("../layer1/diff")
    program, metadata = (
        [tmp_path / volume / path for volume in ("used", "new")]
        for path in ("overlay2/layer1/diff/program", "image/overlay2/layerdb/sha256/aa/cache-id")
    )
    assert program[0].samefile(program[1])
    assert not metadata[0].samefile(metadata[1])  # its Docker writes there


def test_what_a_host_stores_already_is_left_alone(client: Any, tmp_path: Path) -> None:
    layers.keep(client, "used", "these")
    client.volumes.create("old", {})
    (tmp_path / "old/mine").touch()
    layers.fill(client, "old")
    assert files(tmp_path / "old") == {"mine"}


def test_those_of_other_images_take_the_place_of_what_was_kept(client: Any, tmp_path: Path) -> None:
    layers.keep(client, "used", "these")
    (tmp_path / "used/overlay2/layer1/diff/more").touch()
    layers.keep(client, "used", "others")
    assert layers.kept(client) == "others"
    assert files(tmp_path / layers.VOLUME) == KEPT | {"images", "overlay2/layer1/diff/more"}


def test_half_of_them_is_none(client: Any, tmp_path: Path) -> None:
    (tmp_path / "used/overlay2/layer1/link").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        layers.keep(client, "used", "these")
    assert layers.kept(client) == ""
    (tmp_path / "used/overlay2/layer1/link").write_text("SHORT")
    assert layers.keep(client, "used", "these")
    assert files(tmp_path / layers.VOLUME) == KEPT | {"images"}


def test_where_nothing_is_kept_a_host_is_as_it_was(client: Any, tmp_path: Path) -> None:
    client.volumes.create("new", {})
    layers.fill(client, "new")
    assert files(tmp_path / "new") == set()

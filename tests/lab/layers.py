"""Layers: what Docker unpacks of images, done once on a machine and shared by the hosts that are made from then on, as hard links.
It is half of what a first deploy takes.

A host asks the registry for each image as before, and finds that it has its layers: nothing there says that it has an image. What is
in ``overlay2`` and no container's is never written to. Only where this process gets at Docker's volumes: as root, on Docker's own machine.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from docker.client import DockerClient
from docker.errors import NotFound

from tests.lab import network

VOLUME = "smarteros-lab-layers"
# The last that comes there: of which images it has them.
_IMAGES = "images"

# FROM TO, each a Docker's folder. Of containers, which have layers of their own, it takes none.
_KEEP = """
set -eu
cd "$1" && mkdir -p "$2/image/overlay2/layerdb" "$2/overlay2/l"
cp -a image/overlay2/distribution "$2/image/overlay2"
cp -a image/overlay2/layerdb/sha256 "$2/image/overlay2/layerdb"
for file in image/overlay2/layerdb/sha256/*/cache-id; do
    id=$(cat "$file")
    link=$(cat "overlay2/$id/link")
    cp -al "overlay2/$id" "$2/overlay2/$id"
    ln -s "../$id/diff" "$2/overlay2/l/$link"
done
"""
# Docker knows of what "image" names, which comes last: half a copy does no harm.
_FILL = """
set -eu
cp -al "$1/overlay2" "$2"
cp -a "$1/image" "$2"
"""


def kept(client: DockerClient) -> str:
    """Of which images there are layers, as ``keep`` was told; empty for none, or where they are out of reach."""
    try:
        return (_folder(client, VOLUME) / _IMAGES).read_text()
    except (NotFound, OSError):
        return ""


def keep(client: DockerClient, volume: str, images: str) -> bool:
    """Those that the Docker in this volume has, in place of what was kept before; whether that can be done here."""
    if os.geteuid() != 0 or not _folder(client, volume).is_dir():
        return False
    with suppress(NotFound):
        client.volumes.get(VOLUME).remove()
    client.volumes.create(VOLUME, labels={network.LABEL: network.CACHE})
    _shell(_KEEP, _folder(client, volume), _folder(client, VOLUME))
    (_folder(client, VOLUME) / _IMAGES).write_text(images)
    return True


def fill(client: DockerClient, volume: str) -> None:
    """A new host's volume has them, where there are any."""
    if kept(client) and not any(_folder(client, volume).iterdir()):
        _shell(_FILL, _folder(client, VOLUME), _folder(client, volume))


def _folder(client: DockerClient, volume: str) -> Path:
    return Path(client.volumes.get(volume).attrs["Mountpoint"])


def _shell(script: str, source: Path, to: Path) -> None:
    subprocess.run(["sh", "-c", script, "sh", source, to], check=True)

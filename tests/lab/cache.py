"""What all labs of a machine share: built images, the registry's storage, the authority, a dockerd of our own."""

from __future__ import annotations

import contextlib
import shutil

from docker.client import DockerClient
from docker.errors import ImageNotFound

from tests.lab import images, machine, network
from tests.lab.daemon import Progress
from tests.lab.state import AUTHORITY, RESERVED


def purge(client: DockerClient | None, progress: Progress = print) -> None:
    """Remove all of it, unless another lab still needs it."""
    labs = other_labs(client) if client else []
    if labs:
        progress(f"kept the caches: {', '.join(labs)} still up")
        return
    if client:
        network.remove(client, {"label": f"{network.LABEL}={network.CACHE}"})
        _remove_images(client)
    if client and client.containers.list(all=True, ignore_removed=True):
        progress("left Docker alone: it has containers that are not the lab's")
    else:
        machine.stop(progress, purge=True)
    shutil.rmtree(AUTHORITY, ignore_errors=True)


def other_labs(client: DockerClient) -> list[str]:
    """The labs that have containers. Whatever else runs one of the lab's images inherits the image's label."""
    containers = client.containers.list(all=True, filters={"label": network.LABEL}, ignore_removed=True)
    return sorted({container.labels[network.LABEL] for container in containers} - set(RESERVED))


def _remove_images(client: DockerClient) -> None:
    """By tag: an image that others are based on goes with the last of them."""
    for image in client.images.list(filters={"label": f"{network.LABEL}={images.LABELS[network.LABEL]}"}):
        for tag in image.tags:
            with contextlib.suppress(ImageNotFound):
                client.images.remove(tag, force=True)

"""What all labs of a machine share: built images, the registry's storage, the authority, a dockerd of our own."""

from __future__ import annotations

import contextlib

from docker.client import DockerClient
from docker.errors import ImageNotFound

from tests.lab import images, machine, neighbours, network
from tests.lab.daemon import Progress


def purge(client: DockerClient | None, progress: Progress) -> bool:
    """Remove all of it, unless another lab still needs it; whether it is gone."""
    labs = neighbours.labs(client) if client else []
    if labs:
        progress(f"kept the caches, which these labs need: {', '.join(map(str, labs))}")
        return False
    if client:
        network.remove(client, {"label": f"{network.LABEL}={network.CACHE}"})
        _remove_images(client)
    if client and client.containers.list(all=True, ignore_removed=True):
        progress("left Docker alone: it has containers that are not the lab's")
    else:
        machine.stop(progress, purge=True)
    return True


def _remove_images(client: DockerClient) -> None:
    """By tag: an image that others are based on goes with the last of them."""
    for image in client.images.list(filters={"label": f"{network.LABEL}={images.LABELS[network.LABEL]}"}):
        for tag in image.tags:
            with contextlib.suppress(ImageNotFound):
                client.images.remove(tag, force=True)

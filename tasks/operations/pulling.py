"""Pulling: what would keep Docker from pulling images, late and in its own words. Pure."""

from collections.abc import Collection, Iterator

from tasks.facts.pulling import Pulling

_HUB = "docker.io"
_HUBS = (_HUB, "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/")


def registry(image: str) -> str:
    """Where an image comes from: a first part with a dot or a port, or localhost, is a registry's name."""
    first, slash, _ = image.partition("/")
    return first if slash and (first == "localhost" or "." in first or ":" in first) else _HUB


def problems(found: Pulling, images: Collection[str]) -> Iterator[str]:
    """Each reason against pulling these images, with the way out."""
    for line in found.proxies:
        proxy, _, file = line.partition("|")
        yield (
            f"docker: its proxy {proxy} ({file}) does not answer, so that no image could be pulled: start it, or take it out"
        )
    registries = {registry(image) for image in images}
    for line in found.helpers:
        name, helper, file = line.split("|", 2)
        missing = f"docker: docker-credential-{helper}, which {file} names"
        if not name:
            yield f'{missing}, is not installed, so that no image could be pulled: install it, or take "credsStore" out'
        elif (_HUB if name in _HUBS else name) in registries:
            yield f'{missing} for {name}, is not installed: install it, or take {name} out of "credHelpers"'

"""Has the lab's registry serve the lab's images under the names that upstream gave them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from docker.client import DockerClient

from tests.lab import images, machine, network
from tests.lab.authority import Authority
from tests.lab.daemon import Progress

MEDIA = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
WORKERS = 2


class PublishError(Exception):
    """An image cannot be pushed to the lab's registry."""


@dataclass(frozen=True)
class Target:
    """Where an image lives in the registry."""

    repository: str
    tag: str


def target(lab: str, reference: str) -> Target:
    """redis:7 → LAB/library/redis, n8nio/n8n:2 → LAB/n8nio/n8n, ghcr.io/a/b:1 → LAB/ghcr.io/a/b: the edge's folders."""
    name = reference.split("@", 1)[0]
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        raise PublishError(f"{reference} has no tag: the lab cannot tell which image it is")
    path = path.removeprefix("docker.io/")
    return Target(f"{lab}/{path}" if "/" in path else f"{lab}/library/{path}", tag)


@dataclass(frozen=True)
class Manifest:
    """What describes an image in the registry, as it was sent."""

    content: bytes
    media: str
    digest: str

    @property
    def parsed(self) -> dict[str, Any]:
        """What it says."""
        return dict(json.loads(self.content))

    @property
    def blobs(self) -> list[str]:
        """The digests of its configuration and its layers; none of an index."""
        parts = [self.parsed["config"], *self.parsed["layers"]] if "config" in self.parsed else []
        return list(dict.fromkeys(part["digest"] for part in parts))


@dataclass(frozen=True)
class Registry:
    """A lab's registry, as this machine reaches it."""

    client: DockerClient
    lab: str

    def address(self) -> str:
        """Its port on loopback, another one after each start."""
        container = network.find(self.client, self.lab, "registry")
        if not container:
            raise PublishError(f"lab {self.lab} is not up: it has no registry")
        binding = container.attrs["NetworkSettings"]["Ports"]["5000/tcp"][0]
        return f"127.0.0.1:{binding['HostPort']}"

    def manifest(self, place: Target) -> Manifest | None:
        """That of the image there."""
        try:
            with self._ask("GET", f"{place.repository}/manifests/{place.tag}") as answer:
                headers = answer.headers
                return Manifest(answer.read(), headers["Content-Type"], headers["Docker-Content-Digest"])
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def holds(self, image: str, place: Target) -> bool:
        """Whether that local image is there, by its id: its configuration's digest or its manifest's own."""
        found = self.manifest(place)
        return found is not None and image in (found.digest, *found.blobs[:1])

    def push(self, tag: str, place: Target) -> None:
        """Have the registry serve a local image there."""
        repository = f"{self.address()}/{place.repository}"
        self.client.images.get(tag).tag(repository, place.tag)
        for event in self.client.api.push(repository, place.tag, stream=True, decode=True):
            if "error" in event:
                raise PublishError(f"pushing {repository}:{place.tag} failed: {event['error']}")
        self.client.images.remove(f"{repository}:{place.tag}", noprune=True)

    def link(self, source: Target, place: Target) -> None:
        """Have the registry serve under another name what it has: nothing is sent again."""
        found = self.manifest(source)
        if not found:
            raise PublishError(f"the registry has no {source.repository}:{source.tag}")
        for child in found.parsed.get("manifests", ()):
            digest = child["digest"]
            self.link(Target(source.repository, digest), Target(place.repository, digest))
        for digest in found.blobs:
            mount = f"{place.repository}/blobs/uploads/?mount={digest}&from={source.repository}"
            with self._ask("POST", mount, b"") as answer:
                if answer.status != 201:
                    raise PublishError(f"the registry has no {digest} of {source.repository}")
        self._ask("PUT", f"{place.repository}/manifests/{place.tag}", found.content, found.media).close()

    def _ask(self, method: str, path: str, content: bytes | None = None, media: str = "") -> Any:
        headers = {"Accept": ", ".join(MEDIA), **({"Content-Type": media} if media else {})}
        url = f"http://{self.address()}/v2/{path}"
        request = urllib.request.Request(url, content, headers, method=method)
        return urllib.request.urlopen(request, timeout=30)


def publish(
    lab: str, references: Iterable[str], authority: Authority, progress: Progress = print
) -> list[str]:
    """Build what is missing, push what the registry does not have; two at a time. The images' ids."""
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = [
            pool.submit(_publish, lab, reference, authority, progress)
            for reference in dict.fromkeys(references)
        ]
        return [job.result() for job in jobs]


def _publish(lab: str, reference: str, authority: Authority, progress: Progress) -> str:
    place = target(lab, reference)
    client = machine.docker(progress)
    recipe = images.recipe_for(reference)
    tag = images.ensure(client, recipe, progress, stage_files(authority))
    image, registry = str(client.images.get(tag).id), Registry(client, lab)
    if registry.holds(image, place):
        return image
    # All labs of the machine share what they have in common.
    shared = Target(*tag.split(":"))
    if not registry.holds(image, shared):
        started = time.monotonic()
        registry.push(tag, shared)
        progress(f"pushed {reference} in {time.monotonic() - started:.0f} s")
    registry.link(shared, place)
    return image


def stage_files(authority: Authority) -> dict[str, bytes]:
    """For the images that talk to names which the lab's authority vouches for, as their Dockerfiles say."""
    return {"lab-ca.crt": authority.certificate}

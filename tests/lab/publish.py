"""Pushes the lab's images to the lab's registry under the names that upstream gave them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from docker.client import DockerClient

from tests.lab import images, machine, network
from tests.lab.authority import Authority
from tests.lab.daemon import Progress

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
WORKERS = 2


class PublishError(Exception):
    """An image cannot be pushed to the lab's registry."""


@dataclass(frozen=True)
class Target:
    """Where an upstream reference lives in the lab's registry."""

    repository: str
    tag: str


def target(reference: str) -> Target:
    """redis:7 → library/redis, n8nio/n8n:2 → n8nio/n8n, ghcr.io/a/b:1 → ghcr.io/a/b: the edge's folders."""
    name = reference.split("@", 1)[0]
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        raise PublishError(f"{reference} has no tag: the lab cannot tell which image it is")
    path = path.removeprefix("docker.io/")
    return Target(path if "/" in path else f"library/{path}", tag)


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

    def digests(self, place: Target) -> set[str]:
        """What identifies the image there: its configuration's digest, and its manifest's own."""
        url = f"http://{self.address()}/v2/{place.repository}/manifests/{place.tag}"
        request = urllib.request.Request(url, headers={"Accept": f"{MANIFEST}, {OCI_MANIFEST}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                config = json.load(answer).get("config", {}).get("digest", "")
                return {config, answer.headers["Docker-Content-Digest"]}
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return set()
            raise

    def push(self, tag: str, place: Target) -> None:
        """Have the registry serve a local image there."""
        repository = f"{self.address()}/{place.repository}"
        self.client.images.get(tag).tag(repository, place.tag)
        for event in self.client.api.push(repository, place.tag, stream=True, decode=True):
            if "error" in event:
                raise PublishError(f"pushing {repository}:{place.tag} failed: {event['error']}")
        self.client.images.remove(f"{repository}:{place.tag}", noprune=True)


def publish(lab: str, references: Iterable[str], authority: Authority, progress: Progress = print) -> None:
    """Build what is missing, push what the registry does not have; two at a time."""
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = [
            pool.submit(_publish, lab, reference, authority, progress)
            for reference in dict.fromkeys(references)
        ]
        for job in jobs:
            job.result()


def _publish(lab: str, reference: str, authority: Authority, progress: Progress) -> None:
    place = target(reference)
    client = machine.docker(progress)
    recipe = images.recipe_for(reference)
    tag = images.ensure(client, recipe, progress, stage_files(recipe, authority))
    registry = Registry(client, lab)
    if client.images.get(tag).id in registry.digests(place):
        return
    started = time.monotonic()
    registry.push(tag, place)
    progress(f"pushed {reference} in {time.monotonic() - started:.0f} s")


def stage_files(recipe: str, authority: Authority) -> dict[str, bytes]:
    """Of all the images only the proxy talks to names that the lab's authority vouches for."""
    return {"lab-ca.crt": authority.certificate} if recipe == "caddy" else {}

"""A lab's bridge network, and the containers on it: made once, made anew when what they are made of changes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.client import DockerClient
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool

LABEL = "smarteros.lab"  # the key of the lab that something belongs to
CHECKOUT = "smarteros.lab.checkout"  # on a lab's network: the folder that its key stands for
DIGEST = "smarteros.lab.digest"
HOST_LABEL = "smarteros.lab.host"
THAW = "for state in /sys/fs/cgroup/freezer/docker/*/freezer.state; do echo THAWED >$state; done"
CACHE = "cache"  # the label's value on what all labs of the machine share


class NetworkError(Exception):
    """There is no room for another lab."""


@dataclass(frozen=True)
class Spec:
    """A container: what `docker run` is told, and files that are written before its first start."""

    name: str
    image: str
    address: str
    aliases: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    version: str = ""  # stands for what the files hold: a certificate is issued anew each time
    process: Mapping[str, Any] = field(default_factory=dict)  # command, environment, hostname, ports
    options: Mapping[str, Any] = field(default_factory=dict)  # of create_host_config()
    raw_options: Mapping[str, Any] = field(default_factory=dict)  # of the HTTP API, where the SDK has no name


def object_name(lab: str, part: str) -> str:
    return f"smarteros-lab-{lab}-{part}"


def create(client: DockerClient, lab: str, checkout: Path) -> str:
    """The subnet of the lab's network, which is made when it is missing: one of our own 256 that is free."""
    try:
        network = client.networks.get(object_name(lab, "net"))
        return str(network.attrs["IPAM"]["Config"][0]["Subnet"])
    except NotFound:
        pass
    first = zlib.crc32(lab.encode())
    for number in range(256):
        subnet = f"10.213.{(first + number) % 256}.0/24"
        if _create(client, lab, subnet, checkout):
            return subnet
    raise NetworkError("no free network in 10.213.0.0/16: remove other labs")


def _create(client: DockerClient, lab: str, subnet: str, checkout: Path) -> bool:
    labels = {LABEL: lab, CHECKOUT: str(checkout)}
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
    try:
        client.networks.create(object_name(lab, "net"), driver="bridge", ipam=pool, labels=labels)
    except APIError as error:
        if "overlap" in str(error):
            return False
        raise
    return True


def find(client: DockerClient, lab: str, part: str) -> Container | None:
    """The container of a service or host; one that never ran may lack its files and is removed."""
    try:
        container = client.containers.get(object_name(lab, part))
    except NotFound:
        return None
    if container.status == "created":
        container.remove(force=True)
        return None
    return container


def converge(client: DockerClient, lab: str, spec: Spec) -> Container:
    """The running container of a spec; one made from anything else is replaced."""
    container = find(client, lab, spec.name)
    if container and container.labels.get(DIGEST) != _digest(spec):
        container.remove(force=True)
        container = None
    container = container or make(client, lab, spec)
    if container.status != "running":
        container.start()
    return container


def make(client: DockerClient, lab: str, spec: Spec, labels: Mapping[str, str] | None = None) -> Container:
    """Create a container and put its files in, without starting it."""
    api, network = client.api, object_name(lab, "net")
    # No restart policy: a lab that was left behind would come back with each dockerd, and work beside the next one.
    host_config = api.create_host_config(network_mode=network, **spec.options)
    host_config.update(spec.raw_options)
    endpoint = api.create_endpoint_config(ipv4_address=spec.address, aliases=[spec.name, *spec.aliases])
    created = api.create_container(
        spec.image,
        name=object_name(lab, spec.name),
        labels={LABEL: lab, DIGEST: _digest(spec), **(labels or {})},
        host_config=host_config,
        networking_config=api.create_networking_config({network: endpoint}),
        **spec.process,
    )
    container = client.containers.get(created["Id"])
    if spec.files:
        container.put_archive("/", archive(spec.files))
    return container


def archive(files: Mapping[str, bytes]) -> bytes:
    """A tar of absolute paths, readable by root only."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(content), 0o600
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _digest(spec: Spec) -> str:
    parts: list[object] = [spec.image, spec.address, spec.aliases, sorted(spec.files), spec.version]
    parts += [spec.process, spec.options, spec.raw_options]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def remove(client: DockerClient, filters: Mapping[str, Any]) -> None:
    """Remove the containers, then the networks and volumes with a label."""
    for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
        discard(container)
    for network in client.networks.list(filters=filters):
        network.remove()
    for volume in client.volumes.list(filters=filters):
        volume.remove(force=True)


def discard(container: Container) -> None:
    """Kill and remove it. Under cgroup v1 nothing that is frozen dies, as a paused container of a host is."""
    if HOST_LABEL in container.labels and container.status == "running":
        container.exec_run(["sh", "-c", THAW])
    container.remove(force=True, v=True)

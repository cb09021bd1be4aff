"""The lab's own containers: Pebble, the registry, and the edge that answers under their public names."""

from __future__ import annotations

import hashlib
import os
import socket
import time
import urllib.error
import urllib.request

from docker.client import DockerClient

from tests.lab import addresses, images, network, s3
from tests.lab.authority import Authority
from tests.lab.daemon import Progress
from tests.lab.network import Spec
from tests.lab.state import Description

ACME_NAME = "acme-v02.api.letsencrypt.org"
_ACME = (ACME_NAME, "acme-staging-v02.api.letsencrypt.org")
DOCKER_COM = "download.docker.com"
REGISTRY_NAMES = (
    "registry-1.docker.io", "index.docker.io", "auth.docker.io", "ghcr.io", "quay.io", "docker.n8n.io",
)  # fmt: skip
REGISTRY_VOLUME = "smarteros-lab-registry"
PORTS = {"edge": 443, "registry": 5000, "pebble": 14000, "docker-com": 443, "smtp": 587, "s3": 443}
SMTP_NAME = "smtp.example.net"
# What an environment, a shell and a configuration file would each read in their own way.
SMTP_LOGIN = {"NAME": SMTP_NAME, "USER": "relay@example.net", "PASSWORD": "p$1 '\"\\#%s {x}"}
READY_SECONDS = 30
SOURCES = {"local": "local, built here and served under upstream's names", "upstream": "upstream's own"}


class ServiceError(Exception):
    """A service of the lab does not come up."""


def image_source(remembered: str | None = None) -> str:
    """`upstream` when Docker Hub answers, else `local`; SMARTEROS_LAB_IMAGES decides before anything else."""
    forced = os.environ.get("SMARTEROS_LAB_IMAGES")
    if forced and forced not in SOURCES:
        raise ServiceError(f"SMARTEROS_LAB_IMAGES is {forced!r}: it must be local or upstream")
    if forced == "upstream" and not _hub_answers():
        raise ServiceError(
            "SMARTEROS_LAB_IMAGES is upstream, and the registry of Docker's images does not answer here: leave it out, and the "
            "lab builds its own"
        )
    return forced or remembered or ("upstream" if _hub_answers() else "local")


def _hub_answers() -> bool:
    try:
        urllib.request.urlopen("https://registry-1.docker.io/v2/", timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code == 401  # its answer to whoever has not logged in
    except OSError:
        return False
    return True


def converge(
    client: DockerClient, key: str, lab: Description, authority: Authority, progress: Progress
) -> None:
    """Bring up all three, each from its own image; the registry's storage is shared, a folder for each lab."""
    tags = {name: images.ensure(client, name, progress) for name in ("edge", "registry", "pebble")}
    client.volumes.create(REGISTRY_VOLUME, labels={network.LABEL: network.CACHE})
    for spec in (
        _pebble(tags["pebble"], lab.subnet, authority),
        _registry(tags["registry"], lab.subnet),
        _edge(tags["edge"], key, lab, authority),
    ):
        network.converge(client, key, spec)
        wait_for(spec.name, spec.address)


def docker_com(
    client: DockerClient, key: str, lab: Description, authority: Authority, progress: Progress
) -> None:
    """Bring up docker.com's apt repository, which only hosts with Debian 12 need."""
    image = images.ensure(client, "docker-com", progress, {"lab-ca.crt": authority.certificate})
    pair = authority.issue([DOCKER_COM])
    files = {"/etc/caddy/server.crt": pair.certificate, "/etc/caddy/server.key": pair.key}
    address = addresses.address(lab.subnet, addresses.DOCKER_COM)
    spec = Spec("docker-com", image, address, (DOCKER_COM,), files, _version(authority))
    network.converge(client, key, spec)
    wait_for(spec.name, spec.address)


def smtp(client: DockerClient, key: str, lab: Description, authority: Authority, progress: Progress) -> None:
    """Bring up a mail provider's server, which only tests of mail need."""
    image = images.ensure(client, "smtp", progress)
    pair = authority.issue([SMTP_NAME])
    files = {"/etc/smtp/server.crt": pair.certificate, "/etc/smtp/server.key": pair.key}
    address = addresses.address(lab.subnet, addresses.SMTP)
    process = {"environment": SMTP_LOGIN}
    spec = Spec("smtp", image, address, (SMTP_NAME,), files, _version(authority), process)
    network.converge(client, key, spec)
    wait_for(spec.name, spec.address)


def bucket(
    client: DockerClient, key: str, lab: Description, authority: Authority, progress: Progress
) -> None:
    """Bring up a provider's S3 server, which only tests of backups need."""
    image = images.ensure(client, "s3", progress)
    pair = authority.issue([s3.NAME])
    files = {
        "/s3/server.crt": pair.certificate,
        "/s3/server.key": pair.key,
        "/s3/s3.json": s3.identities().encode(),
    }
    address = addresses.address(lab.subnet, addresses.S3)
    process = {"command": s3.arguments("/s3", address, PORTS["s3"], iam=True)}
    spec = Spec("s3", image, address, (s3.NAME,), files, _version(authority), process)
    network.converge(client, key, spec)
    wait_for(spec.name, spec.address)


def _pebble(image: str, subnet: str, authority: Authority) -> Spec:
    address = addresses.address(subnet, addresses.PEBBLE)
    pair = authority.issue(["pebble", address])
    files = {"/etc/pebble/pebble.crt": pair.certificate, "/etc/pebble/pebble.key": pair.key}
    return Spec("pebble", image, address, files=files, version=_version(authority))


def _registry(image: str, subnet: str) -> Spec:
    # Images are pushed through loopback, the one place where Docker asks for no TLS.
    options = {
        "binds": [f"{REGISTRY_VOLUME}:/var/lib/registry"],
        "port_bindings": {5000: ("127.0.0.1", None)},
    }
    address = addresses.address(subnet, addresses.REGISTRY)
    return Spec("registry", image, address, process={"ports": [5000]}, options=options)


def _edge(image: str, key: str, lab: Description, authority: Authority) -> Spec:
    names = (*_ACME, *REGISTRY_NAMES)
    pair = authority.issue(names)
    files = {
        "/etc/edge/edge.crt": pair.certificate,
        "/etc/edge/edge.key": pair.key,
        "/etc/edge/ca.crt": authority.certificate,
    }
    aliases = names if lab.images == "local" else _ACME
    address = addresses.address(lab.subnet, addresses.EDGE)
    process = {"environment": {"LAB": key}}
    return Spec("edge", image, address, aliases, files, _version(authority), process)


def _version(authority: Authority) -> str:
    return hashlib.sha256(authority.certificate).hexdigest()[:12]


def wait_for(name: str, address: str) -> None:
    """Wait until a service takes connections."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address, PORTS[name]), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise ServiceError(f"{name} does not answer at {address}: see `docker logs` of its container")

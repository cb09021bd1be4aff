"""A lab: bare hosts on a network of their own, with an ACME server and image registries under the public names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.message import EmailMessage
from pathlib import Path

from docker.client import DockerClient

from tests.lab import (
    acme,
    addresses,
    authority,
    bare,
    cache,
    hosts,
    layers,
    machine,
    mailbox,
    neighbours,
    network,
    s3,
    services,
)
from tests.lab.authority import Authority
from tests.lab.daemon import Progress
from tests.lab.hosts import LabHost
from tests.lab.network import HOST_LABEL, LABEL
from tests.lab.publish import publish
from tests.lab.state import FOLDER, Description, State


class LabError(Exception):
    """The lab is asked for something that it does not have."""


class Lab:
    """One of several labs that may exist side by side, by its name; other checkouts have labs of their own."""

    def __init__(self, name: str = "default", progress: Progress = print, root: Path = FOLDER) -> None:
        self.name = name
        self.progress = progress
        self.state = State(name, root)
        self._client: DockerClient | None = None

    @property
    def client(self) -> DockerClient:
        """Docker on this machine, started on first use where there is none."""
        self._client = self._client or machine.docker(self.progress)
        return self._client

    @property
    def authority(self) -> Authority:
        """Signs what the lab serves under public names; the same for all labs of this machine."""
        return authority.load(self.client, self.state.authority)

    @property
    def description(self) -> Description:
        """What is up."""
        found = self.state.read()
        if not found:
            raise LabError(f"lab {self.name} is not up: run `make up`")
        return found

    @property
    def hosts(self) -> list[LabHost]:
        """All hosts, by name."""
        return [self.host(name) for name in self.description.hosts]

    def host(self, name: str) -> LabHost:
        """One host of the lab."""
        known = self.description.hosts
        if name not in known:
            raise LabError(f"lab {self.name} has no host {name}, only {', '.join(known) or 'none'}")
        return LabHost(self.client, self.state, name, known[name])

    def up(
        self, hosts: Sequence[str] = ("lab-1",), images: Iterable[str] = (), system: str = "debian13"
    ) -> None:
        """Bring up the network, its services, the hosts and the images; what is there already stays."""
        self.state.create()
        before = self.state.read()
        source = services.image_source(before.images if before else None)
        self.progress(f"images: {services.SOURCES[source]}")
        if before is None:  # what a lost folder left behind: nobody has its key any more
            network.remove(self.client, {"label": f"{LABEL}={self.state.key}"})
        for line in neighbours.forgotten(neighbours.labs(self.client), self.state):
            self.progress(line)
        subnet = network.create(self.client, self.state.key, self.state.checkout)
        kept = before.hosts if before and before.subnet == subnet else {}
        description = Description(self.name, source, subnet, kept)
        services.converge(self.client, self.state.key, description, self.authority, self.progress)
        self.state.write(description)
        for name in hosts:
            self.add_host(name, system)
        if source == "local":
            self.publish(images)

    def add_host(self, name: str, system: str = "debian13") -> LabHost:
        """A running host under that name, made unless it is there; `system` is one of bare.SYSTEMS."""
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) or name in services.PORTS:
            raise LabError(
                f"{name!r} cannot name a host: use small letters, digits and dashes, and no service's name"
            )
        if system not in bare.SYSTEMS:
            raise LabError(f"a host cannot have {system!r}, only {', '.join(bare.SYSTEMS)}")
        known = self.description
        image = bare.image(self.client, system, self.authority, self.progress)
        if system == "debian12" and known.images == "local":
            services.docker_com(self.client, self.state.key, known, self.authority, self.progress)
        address = known.hosts.get(name) or addresses.free_address(known.subnet, set(known.hosts.values()))
        self.state.write(known.with_host(name, address))
        if system in bare.ALIKE:
            layers.fill(self.client, bare.volumes(self.client, self.state.key, name)["docker"])
        host, new = hosts.converge(self.client, self.state, name, address, image)
        self.progress(f"{name} is {'a new host' if new else 'up'} at {address}")
        return host

    def remove_host(self, name: str) -> None:
        """Remove a host with all it stored."""
        host = self.host(name)
        network.remove(self.client, {"label": [f"{LABEL}={self.state.key}", f"{HOST_LABEL}={name}"]})
        self.state.trust(host.address, None)
        self.state.write(self.description.without_host(name))

    def rebuild_host(self, name: str, *, keep_volumes: bool = True) -> LabHost:
        """A new root file system at the same address: what a provider's `rebuild` does. Docker's data may stay."""
        if keep_volumes:
            network.discard(self.host(name).container())
        else:
            self.remove_host(name)
        return self.add_host(name)

    def publish(self, references: Iterable[str]) -> list[str]:
        """Have the registry serve these upstream images; pointless but harmless where upstream is in reach. Their ids."""
        return publish(self.state.key, references, self.authority, self.progress)

    def point(self, domains: Iterable[str], host: LabHost | str) -> None:
        """Let the ACME server find these domains at a host. To be called again after restart_acme()."""
        address = host.address if isinstance(host, LabHost) else self.host(host).address
        acme.point(self._pebble, domains, address)

    def acme_root(self) -> Path:
        """The root that signs the certificates of the ACME server, as a PEM file; a new one after each restart."""
        self.state.keep_acme_root(acme.root(self._pebble, self.authority))
        return self.state.acme_root

    def acme_orders(self) -> int:
        """How many certificates were ordered since the lab is up."""
        return acme.orders(self.client, self.state.key)

    def restart_acme(self) -> None:
        """An ACME server that has forgotten accounts, orders, its root and where domains point."""
        container = network.find(self.client, self.state.key, "pebble")
        if not container:
            raise LabError(f"lab {self.name} has no ACME server: run `make up`")
        container.restart(timeout=0)
        services.wait_for("pebble", self._pebble)

    def mail(self) -> None:
        """Bring up a mail server under its public name, for whom the lab's hosts are customers."""
        services.smtp(self.client, self.state.key, self.description, self.authority, self.progress)

    def mails(self) -> list[EmailMessage]:
        """What it has taken so far (mailbox.py)."""
        container = network.find(self.client, self.state.key, "smtp")
        if not container:
            raise LabError(f"lab {self.name} has no mail server")
        return mailbox.taken(container)

    def bucket(self, host: str) -> dict[str, str]:
        """Bring up an S3 server under its public name; what goes into the setting ``backup`` of this host."""
        services.bucket(self.client, self.state.key, self.description, self.authority, self.progress)
        root = self.authority.certificate.decode()
        return {"endpoint": f"https://{s3.NAME}", "bucket": f"{s3.BUCKET}-{host}", "root": root}

    @property
    def names(self) -> dict[str, str]:
        """The environment in which a program of this machine finds the S3 server, which only the lab's resolver knows."""
        address = addresses.address(self.description.subnet, addresses.S3)
        return {"SMARTEROS_LAB_NAMES": f"{s3.NAME}={address}", "PYTHONPATH": str(s3.NAMES)}

    @property
    def _pebble(self) -> str:
        return addresses.address(self.description.subnet, addresses.PEBBLE)

    def down(self, *, purge: bool = False) -> None:
        """Remove all that this lab made; with `purge` the caches that labs share too, once no lab is left."""
        client = machine.running_docker()
        if client:
            network.remove(client, {"label": f"{LABEL}={self.state.key}"})
            for line in neighbours.forgotten(neighbours.labs(client), self.state):
                self.progress(line)
        self.state.remove()
        if purge and cache.purge(client, self.progress):
            self.state.forget_authority()

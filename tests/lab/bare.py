"""How a container becomes a bare host: the options that let systemd and a Docker of its own run inside."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from docker.client import DockerClient
from docker.models.containers import Container

from tests.lab import addresses, images, network
from tests.lab.authority import Authority
from tests.lab.daemon import Progress
from tests.lab.network import HOST_LABEL, LABEL, Spec
from tests.lab.state import State, make_ssh_key

BOOT = Path(images.FOLDER, "host", "boot.sh")
# An overlay cannot hold another overlay's upper layer: what Docker and containerd store needs volumes.
VOLUMES = {"docker": "/var/lib/docker", "containerd": "/var/lib/containerd"}

# What a host can be: with nothing but its system, or with the distribution's Docker and none of our settings.
SYSTEMS = {"debian13": "host", "debian12": "host-debian12", "docker": "host-docker"}
# Those whose Docker can have the layers that are kept (layers.py): it has the same version and store.
ALIKE = ("debian13", "docker")

# Almost --privileged, which asks for all capabilities and fails where the machine itself lacks SYS_RESOURCE. The
# same everywhere, so that what was tested on one machine holds on the next.
OPTIONS: dict[str, Any] = {
    "cap_add": ["ALL"],
    "cap_drop": ["SYS_RESOURCE"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "device_cgroup_rules": ["a *:* rwm"],
    "cgroupns": "private",
    "tmpfs": {"/run": "exec", "/run/lock": ""},
}
# What the command line calls systempaths=unconfined: nothing of /proc hidden or read-only.
RAW_OPTIONS: dict[str, Any] = {"MaskedPaths": [], "ReadonlyPaths": []}
# Inside a container systemd reads this instead of the kernel's command line: it refuses cgroup v1 otherwise.
ENVIRONMENT = {"SYSTEMD_PROC_CMDLINE": "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"}


def image(client: DockerClient, system: str, authority: Authority, progress: Progress) -> str:
    """The tag of the image that a new host with that system starts from."""
    return images.ensure(client, SYSTEMS[system], progress, {"lab-ca.crt": authority.certificate})


def create(client: DockerClient, state: State, name: str, address: str, image: str) -> Container:
    """Make the container of a host, with an SSH key of its own, without starting it."""
    resolver = addresses.resolver(address)
    private, public = _ssh_host_key()
    state.trust(address, public)
    files = {
        "/root/.ssh/authorized_keys": state.public_key.encode(),
        "/etc/ssh/ssh_host_ed25519_key": private.encode(),
        "/etc/ssh/ssh_host_ed25519_key.pub": public.encode(),
    }
    command = ["/bin/sh", "-c", BOOT.read_text(), "boot", resolver]
    process = {"hostname": name, "environment": ENVIRONMENT, "command": command}
    binds = [f"{volume}:{VOLUMES[part]}" for part, volume in volumes(client, state.key, name).items()]
    options = {**OPTIONS, "binds": binds}
    spec = Spec(name, image, address, files=files, process=process, options=options, raw_options=RAW_OPTIONS)
    return network.make(client, state.key, spec, {HOST_LABEL: name})


def volumes(client: DockerClient, lab: str, host: str) -> dict[str, str]:
    """What a host stores things in, made unless it is there: part → volume."""
    names = {part: network.object_name(lab, f"{host}-{part}") for part in VOLUMES}
    for volume in names.values():
        client.volumes.create(volume, labels={LABEL: lab, HOST_LABEL: host})
    return names


def _ssh_host_key() -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "key")
        make_ssh_key(path)
        return path.read_text(), path.with_suffix(".pub").read_text()

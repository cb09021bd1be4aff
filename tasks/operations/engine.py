"""Engine: whether the Docker that a host has is one to build on, and which packages it lacks. Nothing replaces one."""

import re
from collections.abc import Iterator, Mapping

from tasks.facts import Machine
from tasks.facts.engine import Engine

# The health checks' start_interval needs it; older ones would refuse the compose files.
OLDEST = 25

# The packages that are an engine, and where they come from.
ORIGINS = {"docker.io": "distribution", "docker-ce": "docker.com"}

# What there has to be of it → the packages that bring it, of each origin; Ubuntu's engine brings its client.
_DEBIAN = {
    "engine": "docker.io",
    "client": "docker-cli",
    "compose": "docker-compose",
    "buildx": "docker-buildx",
}
_UBUNTU = {"engine": "docker.io", "compose": "docker-compose-v2", "buildx": "docker-buildx"}
_UPSTREAM = {
    "engine": "docker-ce containerd.io",
    "client": "docker-ce-cli",
    "compose": "docker-compose-plugin",
    "buildx": "docker-buildx-plugin",
}
_DISTRIBUTION: Mapping[str, Mapping[str, str]] = {"debian": _DEBIAN, "ubuntu": _UBUNTU}
_ELSE = "or take another host"


def origin(found: Engine, source: str) -> str:
    """Where Docker's packages come from: from where those that are there came, else from what the settings say."""
    return next((ORIGINS[name] for name in ORIGINS if name in found.packages), source)


def missing(machine: Machine, found: Engine, source: str) -> list[str]:
    """The packages to install. A plugin that is there stays, wherever it came from."""
    upstream = origin(found, source) == "docker.com"
    parts = _UPSTREAM if upstream else _DISTRIBUTION.get(machine.system, {})
    there = {
        "engine": bool(machine.engine) or not found.packages.keys().isdisjoint(ORIGINS),
        "client": bool(machine.engine) or "docker" in found.programs,
        "compose": bool(machine.compose),
        "buildx": bool(machine.buildx),
    }
    return [name for part, names in parts.items() if not there[part] for name in names.split()]


def problems(machine: Machine, found: Engine, source: str, *, node: bool = False) -> Iterator[str]:
    """Each reason against the host's Docker, with the way out. node: it is to be one of a swarm's. Pure."""
    yield from _foreign(found)
    yield from _parts(found, origin(found, source))
    yield from _version(machine, found, source)
    yield from _unit(machine, found)
    if not node:
        yield from _swarm(found)
    if agents := [name for name in found.agents if name != "nomad.service"]:
        yield (
            f"kubernetes: {', '.join(agents)} runs here, whose ports and containerd a second stack would take from it: "
            "take another host"
        )


def _foreign(found: Engine) -> Iterator[str]:
    """Engines that come from nowhere that we install from."""
    if found.snap:
        yield (
            "docker: the snap is installed, which keeps its own data and sees only a part of the host: move what runs "
            f"in it and `snap remove docker`, {_ELSE}"
        )
    for name in ("moby-engine", "podman-docker"):
        if name in found.packages:
            yield (
                f"docker: {name} {found.packages[name]} is installed, which this stack does not run on: move what runs "
                f"in it and `apt-get remove {name}`, {_ELSE}"
            )
    for user in found.rootless:
        yield (
            f"docker: {user} has a rootless engine, which the kernel settings of this stack could stop: move what runs "
            f"in it and `dockerd-rootless-setuptool.sh uninstall` as {user}, {_ELSE}"
        )
    known = ("/snap/", *(() if not found.rootless else ("/home/",)))
    for name, (file, owner) in sorted(found.programs.items()):
        if not owner and not file.startswith(known):
            yield (
                f"docker: {file} belongs to no package: move what its engine runs and remove {name} with its unit, {_ELSE}"
            )


def _parts(found: Engine, source: str) -> Iterator[str]:
    """Packages that those of the source would have to replace."""
    engine = next((name for name in ORIGINS if name in found.packages), "")
    foreign = {
        "distribution": ("docker-ce-cli", "containerd.io"),
        "docker.com": ("docker-cli", "containerd", "runc"),
    }
    others = ("moby-cli", "moby-containerd", "moby-runc")
    if engine or "moby-engine" in found.packages:
        return
    if there := [name for name in (*foreign[source], *others) if name in found.packages]:
        held = f" (which {', '.join(found.agents)} may use)" if found.agents else ""
        other = {"distribution": "docker.com", "docker.com": "distribution"}[source]
        yield (
            f'docker: {", ".join(there)} without an engine{held} would have to go for docker_source = "{source}": '
            f'set docker_source = "{other}", or `apt-get remove {" ".join(there)}` if nothing needs it'
        )


def _version(machine: Machine, found: Engine, source: str) -> Iterator[str]:
    package = next((name for name in ORIGINS if name in found.packages), "")
    version = machine.engine or found.packages.get(package, "").rpartition(":")[2]
    major = re.match(r"\d+", version)
    if major and int(major[0]) < OLDEST:
        upgrade = "`apt-get install --only-upgrade docker-ce docker-ce-cli containerd.io`"
        way = upgrade if package == "docker-ce" else "remove it, and let this run install a newer one"
        yield f"docker: {version} is older than {OLDEST}; {way}"
    bookworm = (machine.system, machine.release) == ("debian", "12")
    if not version and bookworm and origin(found, source) == "distribution":
        yield 'docker: Debian 12 ships one that is too old; set docker_source = "docker.com"'


def _unit(machine: Machine, found: Engine) -> Iterator[str]:
    if found.unit.get("ActiveState") == "failed" and not (machine.engine or machine.deployed):
        words = f" ({found.words})" if found.words else ""
        yield f"docker: docker.service has failed{words}: mend it (`journalctl -u docker`) or remove Docker"


def masked(off: Mapping[str, str]) -> Iterator[str]:
    """What of Docker and sshd starts for nobody. off: unit → how. Pure."""
    if names := [name for name, how in off.items() if how == "masked" and not name.startswith("smarteros-")]:
        one = len(names) == 1
        yield (
            f"systemd: {', '.join(names)} {'is' if one else 'are'} masked: `systemctl unmask {' '.join(names)}`, "
            f"if {'it' if one else 'they'} may run"
        )


def _swarm(found: Engine) -> Iterator[str]:
    if found.swarm:
        role = {"manager": "a manager", "active": "a worker"}.get(found.swarm, f"a member ({found.swarm})")
        services = f" with the services {', '.join(found.swarm_services)}" if found.swarm_services else ""
        yield (
            f"swarm: this host is {role} of a swarm{services}, whose ports the firewall would close: "
            f"`docker swarm leave` if nobody needs it, {_ELSE}"
        )


def remarks(found: Engine, source: str) -> Iterator[str]:
    """What the run goes on with. Pure."""
    there = next((name for name in ORIGINS if name in found.packages), "")
    if there and ORIGINS[there] != source:
        yield (
            f'docker: {there} {found.packages[there]} is there and stays, though docker_source = "{source}": '
            f"what it lacks comes from where it came from"
        )
    if "nomad.service" in found.agents:
        yield "nomad runs here: the firewall closes its ports to the world"

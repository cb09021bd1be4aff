"""Docker: engine, compose and buildx from apt, the daemon with our settings, enabled and running."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyinfra.api import StringCommand

from tasks.facts import DockerFact, Machine, MachineFact
from tasks.facts.kept import DAEMON_JSON, DOCKER_SOURCE, SHELL
from tasks.operations import apt, daemon_ranges, rules
from tasks.operations.kept import keep
from tasks.run import Commands, Refused, executing, known, operation, stack

# Logs that cannot fill the disk; no process in any container that gains privileges or leaves its memory behind;
# no traffic between containers of the default network. Not live-restore, which a swarm does not allow. Not without
# the userland proxy: where containers have IPv4 alone, Docker publishes nothing on IPv6 without it.
DAEMON = {
    "log-driver": "json-file",
    "log-opts": {"max-size": "10m", "max-file": "3"},
    "no-new-privileges": True,
    "icc": False,
    "default-ulimits": {
        "core": {"Name": "core", "Soft": 0, "Hard": 0},
        "nofile": {"Name": "nofile", "Soft": 16384, "Hard": 16384},
    },
}

_DISTRIBUTION = {
    "debian": ("docker.io", "docker-cli", "docker-compose", "docker-buildx"),
    "ubuntu": ("docker.io", "docker-compose-v2", "docker-buildx"),
}
_UPSTREAM = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin", "docker-buildx-plugin")


def run() -> None:
    """The phase."""
    engine(name="Docker | engine, compose, buildx, daemon settings")
    rules.written(stack().networks, name="Docker | its rules in the host's firewall")


@operation
def engine() -> Commands:
    """Settings before the install, so that the first start has them; a restart only when they are newer than it."""
    machine = known(MachineFact)
    settings = daemon_settings(machine.daemon_json, _ranges)
    stale = machine.daemon_stale
    if settings:
        yield StringCommand(_WRITE_DAEMON, _stdin=settings)
        stale = bool(machine.engine)
    elif machine.daemon_loose:
        yield StringCommand(_SHUT)
    if not (machine.compose and machine.buildx):
        yield StringCommand(install(machine, stack().docker_source))
    if stack().forks and not machine.git:
        yield StringCommand(apt.install("git"))
    if not machine.daemon_enabled or not machine.engine:
        yield StringCommand("systemctl enable --now docker.service")
    if stale:
        yield StringCommand("systemctl restart docker.service")
    if executing() and settings and (problem := _still_wrong()):
        raise Refused(problem)


def _still_wrong() -> str:
    machine = known(MachineFact)
    return "" if machine.engine else "Docker is installed but does not answer: see `journalctl -u docker`"


_SHUT = f"set -e\n{SHELL}shut {DAEMON_JSON} 644"

# A run that is killed here sends nothing, or not all of it: the file ends with what an object ends with.
_WRITE_DAEMON = f"""
set -e
umask 022
mkdir -p /etc/docker
{keep([DAEMON_JSON])}
cat > /etc/docker/.daemon.json
[ "$(tail -n 1 /etc/docker/.daemon.json)" = "}}" ]
mv -f /etc/docker/.daemon.json /etc/docker/daemon.json
""".strip()


def _ranges(have: Mapping[str, Any]) -> Mapping[str, Any]:
    return daemon_ranges.settings(have, known(MachineFact), known(DockerFact), stack())


def daemon_settings(
    present: str, more: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _: {}
) -> str:
    """The daemon.json to write, other settings of the host's kept; empty when it is right. Raises Refused."""
    try:
        have: dict[str, Any] = json.loads(present) if present else {}
        merged = {**have, **DAEMON, **more(have)}
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(f"/etc/docker/daemon.json is no JSON object ({error}): mend or remove it") from None
    return "" if have == merged else json.dumps(merged, indent=2)


def left_alone(machine: Machine) -> Iterator[str]:
    """Files that this phase would write, and has no need to."""
    if not daemon_settings(machine.daemon_json, _ranges):
        yield DAEMON_JSON
    if machine.compose and machine.buildx:
        yield from DOCKER_SOURCE


def install(machine: Machine, source: str) -> str:
    """Shell that installs Docker from apt, waiting up to ten minutes for another apt to end."""
    upstream = source == "docker.com"
    packages = _UPSTREAM if upstream else _DISTRIBUTION.get(machine.system, ())
    lines = ["set -e", "export DEBIAN_FRONTEND=noninteractive", apt.UPDATE]
    if upstream:
        lines += _docker_com(machine)
    lines.append(
        f"{apt.GET} install -y --no-install-recommends iptables ca-certificates {' '.join(packages)}"
    )
    return "\n".join(lines)


def _docker_com(machine: Machine) -> list[str]:
    url = f"https://download.docker.com/linux/{machine.system}"
    return [
        f"{apt.GET} install -y --no-install-recommends ca-certificates curl",
        "install -d -m 755 /etc/apt/keyrings",
        keep(DOCKER_SOURCE),
        f"curl -fsSL {url}/gpg -o /etc/apt/keyrings/docker.asc",
        ". /etc/os-release",
        (
            f"printf '%s\\n' 'Types: deb' 'URIs: {url}' \"Suites: $VERSION_CODENAME\" 'Components: stable' "
            "'Signed-By: /etc/apt/keyrings/docker.asc' > /etc/apt/sources.list.d/docker.sources"
        ),
        apt.UPDATE,
    ]

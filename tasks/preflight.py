"""Preflight: refuses, with the reason and what to do, a host that the chosen services cannot live on."""

import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import gevent
from pyinfra import logger
from pyinfra.api import StringCommand

from tasks import docker, firewall, ssh, verify
from tasks.clients import vault_session
from tasks.facts import (
    DatabasesFact,
    DockerFact,
    DokployFact,
    FirstRunFact,
    LinksFact,
    LoadedCaddyfileFact,
    Machine,
    MachineFact,
    TakeoverFact,
    TreeFact,
)
from tasks.model import sizing
from tasks.model.catalogue import Service
from tasks.operations import apt, architecture, dns, first_run, kept, networks, ports, takeover
from tasks.operations.described import links
from tasks.rendering.render import CURRENT, SECRETS
from tasks.run import (
    Commands,
    Refused,
    host,
    known,
    operation,
    read_ahead,
    remember,
    services,
    stack,
    straight_on,
)
from tasks.services import every

# System → releases that are tested or documented upstream as Docker hosts.
SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04", "26.04")}

# The health checks' start_interval needs it; older ones would refuse the compose files.
OLDEST_ENGINE = 25

_UPDATE_DISK_MB = 2048
_MOST_SKEW = 30


def run() -> None:
    """The phase."""
    if straight_on():
        read_ahead(*_quiet_run())
        gevent.sleep(0.03)  # the questions leave; the rest of the deploy is loaded while the host looks
    checked(name="Preflight | system, sizes, ports, clock")


@operation
def checked() -> Commands:
    """Refuses with all reasons at once; finishes an interrupted dpkg."""
    read_ahead(*_quiet_run())
    gevent.sleep(0.03)  # libraries load, too, while the host looks up the answers
    vault_session.warm()
    verify.trust()
    machine = known(MachineFact)
    held = takeover.accepted()
    reasons = list(problems(machine, services(), stack().docker_source, time.time(), held))
    reasons += takeover.refusals()
    reasons += ssh.refusals()
    reasons += kept.refusals(machine, {*docker.left_alone(machine)})
    reasons += networks.refusals()
    reasons += firewall.refusals(machine.access, stack())
    reasons += vault_session.refusals()
    if reasons:
        raise Refused(
            f"{host().name} cannot take this deployment:\n" + "\n".join(f"    {line}" for line in reasons)
        )
    remember("warned", lambda: _warn(warnings(machine)))
    if machine.broken_packages:
        yield StringCommand(apt.MEND)


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        host().log_styled(line, fg="yellow", log_func=logger.warning)


def warnings(machine: Machine) -> Iterator[str]:
    """What the run goes on with."""
    if machine.apt:
        yield f"apt is at work, {', '.join(machine.apt)}: what has to be installed waits up to ten minutes for it"
    yield from kept.warnings(machine, {*docker.left_alone(machine)})
    yield from networks.warnings()
    if not machine.deployed:
        yield from (dns.said(*item) for item in dns.elsewhere(dns.domains()).items())


def _quiet_run() -> list[tuple[Any, ...]]:
    """The facts that a run with nothing to do needs, so that they are under way at once."""
    extended = tuple(item.name for service in services() for item in service.databases if item.extensions)
    proxies = [service.main.name for service in services() if service.phase == "proxy"]
    return [
        (MachineFact,),
        (DockerFact,),
        (TreeFact, f"{CURRENT}/", tuple(links())),
        (TreeFact, SECRETS, (), "077"),
        (DatabasesFact, extended),
        (FirstRunFact, first_run.questions(services())),
        (LinksFact,),
        *((LoadedCaddyfileFact, name) for name in proxies),
        *([(TakeoverFact,)] if stack().takeover else []),
        *((DokployFact,) for service in services() if service.name == "dokploy"),
    ]


def problems(
    machine: Machine,
    chosen: tuple[Service, ...],
    source: str,
    now: float,
    accepted: frozenset[str] = frozenset(),
) -> Iterator[str]:
    """Each reason against the machine, with what to do; ``accepted`` containers may hold the ports. Pure."""
    yield from _system(machine, source)
    yield from architecture.problems(machine.architecture, chosen)
    yield from _sizes(machine, chosen)
    yield from ports.taken(machine, chosen, frozenset(every()), accepted)
    skew = round(machine.clock - now)
    if abs(skew) > _MOST_SKEW:
        yield f"clock: {abs(skew)} s {'ahead' if skew > 0 else 'behind'}: set it (timedatectl set-ntp true)"


def _system(machine: Machine, source: str) -> Iterator[str]:
    if machine.release not in SUPPORTED.get(machine.system, ()):
        known_systems = "; ".join(f"{name} {', '.join(releases)}" for name, releases in SUPPORTED.items())
        yield f"system: {machine.system} {machine.release} is not supported; use one of: {known_systems}"
    if machine.architecture not in architecture.DOCKERS:
        yield f"system: {machine.architecture} is not supported; use {' or '.join(architecture.DOCKERS)}"
    if machine.init != "systemd":
        yield f"system: process 1 is {machine.init}; a host booted by systemd is needed"
    if machine.user != "root":
        yield f"login: commands run as {machine.user}; log in as root, or set _sudo = True for the host"
    major = re.match(r"\d+", machine.engine)
    if major and int(major[0]) < OLDEST_ENGINE:
        yield f"docker: {machine.engine} is older than {OLDEST_ENGINE}; remove it, and let this run install a newer one"
    if not machine.engine and (machine.system, machine.release, source) == ("debian", "12", "distribution"):
        yield 'docker: Debian 12 ships one that is too old; set docker_source = "docker.com"'


def _sizes(machine: Machine, chosen: tuple[Service, ...]) -> Iterator[str]:
    need = sizing.demand(chosen)
    if machine.memory_mb < need.memory_mb:
        yield f"memory: {machine.memory_mb} MB, and the chosen services need {need.memory_mb} MB{_LARGER}"
    if machine.cpus < need.cpus:
        yield f"cpus: {machine.cpus}, and the largest container needs {need.cpus:g}{_LARGER}"
    needed = _UPDATE_DISK_MB if machine.deployed else round(need.disk_gb * 1024)
    if machine.disk_free_mb < needed:
        yield f"disk: {machine.disk_free_mb} MB free below /var/lib, and {needed} MB are needed{_LARGER}"


_LARGER = ": choose fewer services, a smaller profile, or take a larger host"

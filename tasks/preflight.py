"""Preflight: refuses, with the reason and what to do, a host that the chosen services cannot live on."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from pyinfra import logger
from pyinfra.api import StringCommand

from tasks import firewall, lock, login_keys, recover, ssh, verify
from tasks import host as hardening
from tasks.clients import recovery, vault_access, vault_session, vault_values
from tasks.facts import (
    DockerFact,
    Machine,
    MachineFact,
)
from tasks.model import acts, mail, sizing
from tasks.model.catalogue import Service
from tasks.operations import (
    adoption,
    apt,
    architecture,
    backup_health,
    daemon,
    disk,
    dns,
    engine,
    images,
    kept,
    lost,
    networks,
    nodes,
    overlays,
    ports,
    postgres,
    questions,
    shared,
    survey,
    swap,
    takeover,
)
from tasks.run import (
    Commands,
    Refused,
    host,
    known,
    operation,
    remember,
    services,
    stack,
    straight_on,
    tasked,
)
from tasks.services import every

# System → releases that are tested or documented upstream as Docker hosts.
SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04", "26.04")}

_MOST_SKEW = 30
# What this run ends of restores that were cut short: service → ``to TIME``.
ENDED = "ended"


def run() -> None:
    """The phase."""
    if straight_on():
        questions.leave()
    checked(name="Preflight | system, sizes, ports, clock")


@operation
def checked() -> Commands:
    """Refuses with all reasons at once; starts a Docker of ours that is stopped, finishes an interrupted dpkg."""
    questions.leave()
    vault_session.warm()
    verify.trust()
    machine = known(MachineFact)
    if machine.deployed and (masked := [*engine.masked(machine.off)]):
        raise Refused(masked[0])  # what stands on it is not known
    if machine.deployed and machine.compose and not machine.engine:
        yield StringCommand(daemon.restarted("systemctl start docker.service"))
        machine = known(MachineFact)
    reasons = [*refusals(machine), *_vault(), *postgres.refusals()]
    if reasons:
        raise Refused(
            f"{host().name} cannot take this deployment:\n" + "\n".join(f"    {line}" for line in reasons)
        )
    lock.told(host(), f"acts {acts.newest()}")
    remember("warned", lambda: _warn(warnings(machine)))
    if machine.broken_packages or survey.survey().packages.unmet:
        yield StringCommand(apt.MEND)


def refusals(machine: Machine) -> list[str]:
    """Each reason against the host, in its surroundings; Vault and the bucket aside."""
    held = takeover.accepted() | adoption.accepted()
    chosen = {item.name: item for item in (*services(), *tasked())}
    reasons = list(problems(machine, tuple(chosen.values()), held, survey.images()))
    reasons += swap.problems(stack().swap_gb, machine)
    reasons += [*shared.refusals(), *([] if recover.wanted() else lost.refusals())]
    reasons += survey.refusals()
    reasons += [*takeover.refusals(), *adoption.refusals()]
    reasons += [
        *ssh.refusals(),
        *login_keys.refusals(),
        *recover.refusals(),
        *backup_health.cut_short(dict(machine.cut.items() - remember(ENDED, dict[str, str]).items())),
    ]
    reasons += kept.refusals(machine, {*survey.left_alone()})
    reasons += _networks(reasons)
    reasons += [*firewall.refusals(machine, stack()), *acts.refusals(stack().acknowledged, machine.acts)]
    return reasons


def _vault() -> list[str]:
    """What speaks against Vault, else against what it holds, else against where its keys go. That Docker does not answer is said elsewhere."""
    if recover.half_a_vault():
        return []
    running, image = False, ""
    with suppress(Refused):
        if ours := known(DockerFact).containers.get("vault"):
            running, image = ours.status == "running", ours.image
    access = vault_access.refusals(running=running, image=image, recovering=recover.wanted())
    return [*access] or [*vault_values.refusals()] or [*recovery.refusals()]


def _networks(reasons: list[str]) -> list[str]:
    """What speaks against our networks. That Docker does not answer is said where nothing has said why."""
    try:
        return [*networks.refusals(), *nodes.refusals(), *overlays.refusals()]
    except Refused as error:
        return [] if any(line.startswith("docker:") for line in reasons) else [str(error)]


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        host().log_styled(line, fg="yellow", log_func=logger.warning)


def warnings(machine: Machine) -> Iterator[str]:
    """What the run goes on with."""
    if machine.apt:
        yield f"apt is at work, {', '.join(machine.apt)}: what has to be installed waits up to ten minutes for it"
    if machine.broken_packages:
        broken = ", ".join(machine.broken_packages)
        yield f"apt: {broken}: not configured, or installed by halves: finished first (dpkg --audit), and a run stops where that fails"
    yield from kept.warnings(machine, {*survey.left_alone()})
    yield from adoption.warnings()
    yield from networks.warnings()
    yield from survey.remarks()
    yield from vault_access.warnings()
    yield from images.unpinned()
    if not machine.deployed:
        yield from mail.unsent(services(), stack())
        yield from images.remarks()
        yield from (f"host: {line}" for line in hardening.remarks(known(*hardening.question())))
        yield from dns.remarks()
        yield from dns.hidden()


def problems(
    machine: Machine,
    chosen: tuple[Service, ...],
    accepted: frozenset[str] = frozenset(),
    images: str = "",
) -> Iterator[str]:
    """Each reason against the machine, with what to do; ``accepted`` containers may hold the ports. Pure."""
    yield from _system(machine)
    yield from engine.masked(machine.off)
    yield from architecture.problems(machine.architecture, chosen)
    yield from _sizes(machine, chosen, images)
    yield from ports.taken(machine, chosen, frozenset(every()), accepted)
    if abs(machine.skew) > _MOST_SKEW:
        yield f"clock: {abs(machine.skew)} s {'ahead' if machine.skew > 0 else 'behind'}: set it (timedatectl set-ntp true)"


def _system(machine: Machine) -> Iterator[str]:
    if machine.release not in SUPPORTED.get(machine.system, ()):
        known_systems = "; ".join(f"{name} {', '.join(releases)}" for name, releases in SUPPORTED.items())
        yield f"system: {machine.system} {machine.release} is not supported; use one of: {known_systems}"
    if machine.architecture not in architecture.DOCKERS:
        yield f"system: {machine.architecture} is not supported; use {' or '.join(architecture.DOCKERS)}"
    if machine.init != "systemd":
        yield f"system: process 1 is {machine.init}; a host booted by systemd is needed"
    if machine.user != "root":
        yield f"login: commands run as {machine.user}; log in as root, or set _sudo = True for the host"


def _sizes(machine: Machine, chosen: tuple[Service, ...], images: str) -> Iterator[str]:
    need = sizing.demand(chosen)
    if machine.memory_mb < need.memory_mb:
        fit = ", ".join(service.name for service in sizing.fitting(chosen, machine.memory_mb))
        fewer = f"; these would fit: {fit}" if fit else ""
        yield f"memory: {machine.memory_mb} MB, and the chosen services need {need.memory_mb} MB{disk.LARGER}{fewer}"
    if machine.cpus < need.cpus:
        wide = sizing.wider(chosen, machine.cpus)
        yield f"cpus: {machine.cpus}, and the largest container needs {need.cpus:g} ({wide}){disk.LARGER}"
    containers = sum(len(service.containers) for service in chosen)
    yield from disk.tight(machine)
    yield from disk.problems(machine, round(need.disk_gb * 1024), containers, images)

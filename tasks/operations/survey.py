"""Survey: what a host had before ours, judged: asked for only while something of Docker or of our packages is missing."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from tasks.connection import grouped
from tasks.facts import DockerFact, MachineFact
from tasks.facts.engine import Engine
from tasks.facts.kept import DOCKER_SOURCE
from tasks.facts.machine import Machine
from tasks.facts.packages import Packages
from tasks.facts.survey import Survey, SurveyFact, ValidFact
from tasks.model.effects import DockerRestart
from tasks.operations import daemon, daemon_moves, daemon_ranges, disk, engine, pulling
from tasks.operations.needed import PACKAGES
from tasks.rendering import render
from tasks.run import Refused, known, services, stack, tasked

# With those of Docker and of the host: what a run may have to install.
_TOOLS = ("ca-certificates", "iptables", "nftables")


def survey() -> Survey:
    """What there was, empty where nothing is left to do that could harm it."""
    return Survey() if settled(known(MachineFact)) else asked()


def asked() -> Survey:
    """What there is, whatever is left to do."""
    machine = known(MachineFact)
    names = sorted({*_TOOLS, *PACKAGES, *engine.missing(machine, Engine(), stack().docker_source)})
    return known(SurveyFact, tuple(names), tuple(item.path for item in machine.stores[1:]))


def stops(found: Engine) -> DockerRestart:
    """What a restart of Docker does to what runs there. Pure."""
    others = () if found.live_restore else tuple(item.name for item in found.others)
    return DockerRestart(others, tuple(daemon.stopped(found)[0]))


def installs() -> list[str]:
    """Packages that a run may have to install after those of the host."""
    machine = known(MachineFact)
    there = survey().packages.installed
    needed = (*_TOOLS, *engine.missing(machine, survey().engine, stack().docker_source))
    return [] if settled(machine) else [name for name in needed if name not in there]


def settled(machine: Machine) -> bool:
    """A host of ours whose Docker is as it has to be."""
    try:
        right = not _merged(machine, set(machine.docker_left), ())
    except Refused:
        return False
    whole = machine.deployed and machine.engine and machine.compose and machine.buildx
    return bool(whole) and right and not (machine.daemon_stale or machine.daemon_unproven)


def settings() -> tuple[str, set[str]]:
    """The daemon.json to write, empty when it is right; and which settings of ours are left to the host."""
    machine = known(MachineFact)
    theirs, found = set(machine.docker_left), survey().engine
    if not machine.deployed:
        theirs |= daemon.left(daemon.parsed(machine.daemon_json), found)
        # For it Docker has the kernel show everything that is bridged to firewalls, guests' packets, too.
        theirs |= {"icc"} if machine.behind.bridges else set()
    return _merged(machine, theirs, found.flags), theirs


def _merged(machine: Machine, theirs: set[str], flags: Iterable[str]) -> str:
    have = daemon.parsed(machine.daemon_json)
    ranges = daemon_ranges.settings(have, machine, known(DockerFact), stack())
    given = daemon.flagged(flags)
    return daemon.wanted(have, theirs, {key: value for key, value in ranges.items() if key not in given})


def left_alone() -> Iterator[str]:
    """Files where ours would come that no run has need to write now."""
    machine = known(MachineFact)
    with suppress(Refused):
        if not settings()[0]:
            yield daemon.FILE
    if machine.compose and machine.buildx:
        yield from DOCKER_SOURCE


def restarts(text: str) -> bool:
    """Whether a running Docker has to be restarted: for new settings, for those that it has not proven, and on a host
    of ours for those that are newer than it. What others wrote and do not use yet is theirs.
    """
    machine = known(MachineFact)
    stale = machine.daemon_unproven or (machine.deployed and machine.daemon_stale)
    return bool(machine.engine) and (bool(text) or stale)


def images() -> str:
    """Who stores the images: containerd, with a Docker from 29 on that has never run; empty for Docker itself."""
    machine, found = known(MachineFact), survey().engine
    new = not machine.engine and engine.origin(found, stack().docker_source) == "docker.com"
    return found.images or ("containerd" if new and not settled(machine) else "")


def refusals() -> Iterator[str]:
    """Each reason against building on it, with what to do."""
    machine, source = known(MachineFact), stack().docker_source
    found = survey()
    if settled(machine):
        return
    if machine.deployed and machine.engine:
        yield from _daemon(machine, found)
        return
    yield from engine.problems(machine, found.engine, source, node=grouped.cluster() is not None)
    yield from _daemon(machine, found)
    yield from apt_problems(
        found.packages, (*_TOOLS, *PACKAGES, *engine.missing(machine, found.engine, source))
    )
    yield from disk.unfit(found.mounts)
    pulled = [render.image(container) for item in (*services(), *tasked()) for container in item.containers]
    yield from pulling.problems(found.pulling, pulled)


def _daemon(machine: Machine, found: Survey) -> Iterator[str]:
    try:
        have = daemon.parsed(machine.daemon_json)
    except Refused as error:
        yield f"docker: {error}"
        return
    reasons = list(daemon.problems(have, found.engine.flags))
    yield from reasons
    try:
        text, _ = settings()
    except Refused as error:
        yield str(error)
        return
    judged = text or machine.daemon_json
    ask = judged and found.engine.programs and not reasons
    said = known(ValidFact, judged, found.engine.flags) if ask else ""
    if said:
        yield f"docker: dockerd does not take {daemon.FILE} with what this run adds: {said}"
    if restarts(text):
        moves = daemon_moves.certain(have, found.engine)
        yield from (daemon_moves.moved(move, "the restart that this run needs") for move in moves)
        if have and _untried(machine) and not (reasons or said or moves):
            yield (
                f"docker: {daemon.FILE} has changed since Docker started, and the restart that this run needs would be the first "
                "with what it says: restart Docker yourself (`systemctl restart docker`), then run again"
            )
        if found.engine.reload:
            yield (
                "docker: files of docker.service have changed and systemd has not loaded them, so that nobody knows what a restart "
                "would start: see `systemctl cat docker.service`, and `systemctl daemon-reload`"
            )
    _, gone = daemon.stopped(found.engine)
    if restarts(text) and gone:
        yield (
            f"docker: {daemon.FILE} changes, and the restart of Docker that it needs would remove {', '.join(gone)} "
            "(started with --rm): stop it, or start it without"
        )


def _untried(machine: Machine) -> bool:
    """Others have written settings with which their Docker has never started; dockerd's own validation looks for none of
    the plugins, addresses and files that they name.
    """
    ours = machine.deployed or machine.daemon_unproven
    return machine.daemon_stale and not ours


def apt_problems(found: Packages, names: Iterable[str]) -> Iterator[str]:
    """What keeps apt from installing what is needed. Pure."""
    needed = [name for name in dict.fromkeys(names) if name not in found.installed]
    yield from (f"apt: {line}: mend it (`apt-get update` has to read every source)" for line in found.sources)
    for line in () if found.mended else found.unmet:
        yield (
            f"apt: {line}, and nothing else can be installed until that is mended: `apt-get --fix-broken install` says how, or "
            f"remove {line.partition(' ')[0]}"
        )
    for name in needed:
        if name in found.held:
            yield f"apt: {name} is on hold and not installed: `apt-mark unhold {name}`"
        elif name in found.pinned:
            where = found.pinned[name] or "its preferences"
            yield f"apt: {name} is kept from being installed by {where}: take that out"
    for line in found.proxies if needed else ():
        proxy, _, file = line.partition("|")
        yield f"apt: its proxy {proxy} ({file or 'apt-config dump says where it is set'}) does not answer: start it, or take it out"


def keeping(theirs: Iterable[str], machine: Machine) -> str:
    """Which settings of ours are left to the host, in words. Pure."""
    names = ", ".join(sorted(theirs))
    if machine.daemon_json.strip():
        return f"docker: {daemon.FILE} keeps its own {names}"
    return f"docker: {names} stay as they are (there is no {daemon.FILE} yet)"


def remarks() -> Iterator[str]:
    """What the run goes on with, and what it does to what is not ours."""
    machine, found = known(MachineFact), survey().engine
    if settled(machine):
        return
    yield from (f"apt: {line}: apt gets what is missing first" for line in survey().packages.unmet)
    if not machine.deployed:
        yield from engine.remarks(found, stack().docker_source)
    text, theirs = settings()
    names = ", ".join(item.name for item in found.others)
    if theirs - set(machine.docker_left) and machine.engine:
        why = f" while others' containers run here ({names})" if found.others else ""
        yield f"{keeping(theirs, machine)}{why}"
    if machine.engine and not restarts(text):
        have = daemon.parsed(machine.daemon_json)
        yield from (
            daemon_moves.moved(move, "the next boot, or restart of Docker,")
            for move in daemon_moves.certain(have, survey().engine)
        )
    stopped, _ = daemon.stopped(found)
    if restarts(text) and found.others and not found.live_restore:
        yield f"docker: restarts for its settings, and with it {names}"
    if restarts(text) and stopped:
        yield f"docker: {', '.join(stopped)} would not come back by itself and is started again after that"

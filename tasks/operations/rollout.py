"""Rollout: the shell that brings a service to its description, and back to what ran before when that fails.

Requests wait meanwhile: Caddy holds them as long as its file of the service's name is there, and a container
that replaces another is not found under its own name before it is healthy. Where a second one may stand in for it, nobody waits (rolling.py).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from shlex import quote

from tasks.facts import ContainerState
from tasks.facts.ahead import TIMES
from tasks.model.catalogue import Container, Service
from tasks.model.objects import replacement, second
from tasks.operations import door, folders, images, mirrored, role, rolling, room, rotated
from tasks.operations.files import PREVIOUS
from tasks.operations.rollout_shell import UP, functions, led_on, marks
from tasks.rendering import render

# What ran before may take longer to start than what replaces it is given.
_BACK_SECONDS = 300


@dataclass(frozen=True)
class Replaced:
    """What runs of a service before it is replaced; of a first deploy nothing.

    hidden: containers that users reach. labels: the digests by which its compose file is known again, none where
    there is no way back. secrets: the digest of those that they have. running: its containers. proxy: the one that holds
    requests, if it runs.
    moved: containers that are not ours → what they are called once ours has their name (room.py); None: nobody asked.
    fronts: it is the proxy, and runs.
    carried: folder → the volume whose content has to come there first (folders.py). rolls: a second one stands in for each that users reach.
    role: its database's role gets another password on the way (role.py), and a second one has a role of its own. late: of its jobs only the secrets have changed, so that they
    keep nobody waiting: they run once it serves again. measured: how long this takes says how long the next replacement will.
    mirrored: other nodes' proxies are told what this one is (mirrored.py).
    """

    hidden: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    secrets: str = ""
    running: tuple[str, ...] = ()
    proxy: str = ""
    moved: Mapping[str, str] | None = None
    fronts: bool = False
    carried: Mapping[str, str] = field(default_factory=dict)
    rolls: bool = False
    role: bool = False
    late: bool = False
    measured: bool = True
    mirrored: bool = False

    @property
    def holds(self) -> str:
        """How a command reaches the proxy, where there is one and something to hold requests for."""
        return f"docker exec {quote(self.proxy)}" if self.proxy and self.hidden else ""

    @property
    def led_on(self) -> list[str]:
        """Shell: nobody is held any longer."""
        return [led_on(self.proxy, self.hidden)] if self.holds else []


def replaced(
    service: Service,
    found: Mapping[str, ContainerState],
    digests: Mapping[str, str],
    secrets: str,
    proxy: str,
) -> Replaced:
    """What is replaced. There is a way back to what was well and described otherwise, or had other secrets."""
    routed = rolling.routed(service)
    others = {item.name for item in service.containers if item.job} | set(map(second, routed))
    here = [item for item in found.values() if item.service == service.name and item.name not in others]
    well = all((item.status, item.health) == ("running", "healthy") for item in here)
    told = {item.name for item in service.containers if item.env_file}
    had = next((item.secrets_digest for item in here if item.name in told), secrets)
    other = had != secrets or any(digests.get(item.name) != item.digest for item in here)
    names = {item.name for item in here}
    return Replaced(
        hidden=tuple(name for name in routed if {name, replacement(name), second(name)} & found.keys()),
        labels=tuple(item.digest for item in here) if well and other else (),
        secrets=had,
        running=tuple(sorted(names)),
        proxy=proxy if proxy in found and service.phase != "proxy" else "",
        fronts=service.phase == "proxy" and bool(here),
    )


def start_script(
    service: Service,
    host_name: str,
    jobs: Iterable[tuple[Container, str]] = (),
    *,
    recreate: bool = False,
    old: Replaced | None = None,
) -> str:
    """Shell: wait for images, run ``jobs``, compose up, wait for health. Fails naming service, host, last log lines.

    jobs: each with the shell that notes that it is done. Compose leaves a job alone that is not named: its profile is not chosen.
    """
    file = quote(f"/root/{render.compose_path(service)}")
    old = old or Replaced()
    lines = ["set -eu", *functions(service, host_name, old.hidden), *_ending(service, host_name, old)]
    lines += dict.fromkeys(images.wait(container) for container in service.containers)
    lines += ["dismiss"] if _may_roll(service, old) else []
    lines += [*folders.volumes(service), *folders.made(service, old.carried), *room.made(old.moved or {})]
    work = [*_jobs(file, jobs)]
    first = [] if old.late else work
    lines += [] if old.role else first
    timed = old.running and old.measured and not old.rolls
    lines += ["begun=$(date +%s)"] if timed else []
    if old.holds:
        lines.append(f"{old.holds} touch {' '.join(map(quote, marks(old.hidden)))} 2>/dev/null || true")
        lines += [f"sleep {mirrored.SEEN}"] if old.mirrored else []
    if old.fronts:
        lines.append(door.shut(service.main.stop_seconds + service.main.health.seconds))
    if old.role:
        lines += [role.CHANGED, *first] if first else [f"between={role.CHANGED}"]
    gated = {item.name: item.health.seconds for item in service.containers if not item.job}
    if old.rolls:
        stand_in = f"stand_in {file} {_words({name: gated[name] for name in rolling.routed(service)})}"
        lines.append(role.standing_in(service, host_name, stand_in) if old.role else stand_in)
    lines.append(f"bring_up {file} {_words(gated)}{' --force-recreate' if recreate else ''}")
    if timed:
        lines.append(
            f"mkdir -p {TIMES} && echo $(($(date +%s) - begun)) >{TIMES}/{quote(service.name)} || true"
        )
    if old.late:
        lines += [*old.led_on, *work]
    lines += [rotated.settled(service)] if service.secrets else []
    lines += ["settled"] if old.moved is not None else []
    return "\n".join(lines)


def _jobs(file: str, jobs: Iterable[tuple[Container, str]]) -> Iterator[str]:
    for job, noting in jobs:
        run = f"{UP} --force-recreate --no-deps {quote(job.name)}"
        yield f"compose {file} --profile job {run} 2>&1"
        yield f"gate {quote(job.name)} {job.health.seconds} 'exited/*/0/*' 'exited/*' 'has not succeeded'"
        if noting:
            yield noting


def _may_roll(service: Service, old: Replaced) -> bool:
    """Whether there may be a second one, made now or left by a run that was cut short."""
    return service.rollout == "rolling" and bool(old.hidden)


def _ending(service: Service, host_name: str, old: Replaced) -> Iterator[str]:
    """However the script ends, nobody is held any longer; what has failed is taken back before."""
    steps = []
    if old.role:
        yield role.functions(service, host_name, old.running)
    if service.secrets:
        yield rotated.functions(service, host_name, old.secrets)
        steps.append("[ $code = 0 ] || name_changed")
    if old.labels:
        yield _way_back(service, host_name, old)
        steps.append("[ $code = 0 ] || back")
    if old.moved is not None:
        yield room.functions(service)
        steps.append("[ $code = 0 ] || put_back")
    if _may_roll(service, old):
        yield rolling.functions(rolling.routed(service), old.holds)
        if gone := role.seconds(service):
            yield f"{gone}\ngone=second_gone"
        steps.append("dismiss")
    steps += old.led_on
    if old.fronts:
        steps.append(door.OPEN)
    if steps:
        yield f"trap {quote('; '.join(('code=$?', *steps)))} EXIT"


def _words(gated: Mapping[str, int]) -> str:
    """``name=seconds …`` as one word of the shell."""
    return quote(" ".join(f"{name}={seconds}" for name, seconds in gated.items()))


def _way_back(service: Service, host_name: str, old: Replaced) -> str:
    """The function ``back``: the generation whose compose file has these labels is active again, and so is what it describes: the
    active one where only secrets have changed, else the one of before, else the newest. What it says first ends it when nobody
    listens any more: a run that was killed has not failed, and the next one goes on from there.
    """
    path = render.compose_path(service)
    labels = " && ".join(
        f"""grep -qsE {quote(f'{render.DIGEST_LABEL}: "?{re.escape(label)}"?$')} "$old/{path}\""""
        for label in old.labels
    )
    gated = _words({name.removesuffix(replacement("")): _BACK_SECONDS for name in old.running})
    restored = f"between= && {role.BACK} || true; " if old.role else ""
    restored += "secrets_back || true" if service.secrets else ":"
    where = f"{service.name} on {host_name}"
    return f"""
back() {{
    echo {quote(where)} "goes back to what ran before" >&2
    for old in "$(readlink -f {render.CURRENT})" "$(readlink -f {PREVIOUS})" $(ls -1dt {render.ROOT}/generations/*); do
        {labels} || continue
        touch "$old"
        ln -sfn "generations/${{old##*/}}" {render.ROOT}/.current && mv -T {render.ROOT}/.current {render.CURRENT}
        {restored}
        if bring_up "$old/{path}" {gated}; then
            echo {quote(where)} "runs as before again, and the generation ${{old##*/}} is active" >&2
            return
        fi
        break
    done
    echo {quote(where)} "cannot be brought back to what ran before" >&2
}}
""".strip()

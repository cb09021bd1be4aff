"""Rollout: the shell that brings a service to its description, and back to what ran before when that fails.

Requests wait meanwhile: Caddy holds them as long as its file of the service's name is there, and a container
that replaces another is not found under its own name before it is healthy.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from shlex import quote

from tasks.facts import ContainerState
from tasks.model.catalogue import CORE, Container, Service
from tasks.operations import images
from tasks.operations.files import PREVIOUS
from tasks.rendering import render

# A container that has ended so often does not come to life by waiting.
_RESTARTS = 5
# What ran before may take longer to start than what replaces it is given.
_BACK_SECONDS = 300


@dataclass(frozen=True)
class Replaced:
    """What runs of a service before it is replaced; of a first deploy nothing.

    hidden: containers that users reach. labels: the digests by which its compose file is known again, none where
    there is no way back. running: its containers. proxy: the one that holds requests, if it runs.
    """

    hidden: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    proxy: str = ""

    @property
    def holds(self) -> str:
        """How a command reaches the proxy, where there is one and something to hold requests for."""
        return f"docker exec {quote(self.proxy)}" if self.proxy and self.hidden else ""

    @property
    def marks(self) -> str:
        """The files that make the proxy hold requests (templates/caddy)."""
        return " ".join(quote(f"/tmp/replaced-{name}") for name in self.hidden)


def replaced(
    service: Service, found: Mapping[str, ContainerState], digests: Mapping[str, str], proxy: str
) -> Replaced:
    """What is replaced. There is a way back to what was well and described otherwise."""
    jobs = {item.name for item in service.containers if item.job}
    here = [item for item in found.values() if item.service == service.name and item.name not in jobs]
    well = all((item.status, item.health) == ("running", "healthy") for item in here)
    other = any(digests.get(item.name) != item.digest for item in here)
    routed = dict.fromkeys(route.container for route in service.routes)
    names = {item.name for item in here}
    return Replaced(
        hidden=tuple(name for name in routed if {name, _next(name)} & names),
        labels=tuple(item.digest for item in here) if well and other else (),
        running=tuple(sorted(names)),
        proxy=proxy if proxy in found and service.phase != "proxy" else "",
    )


def _next(name: str) -> str:
    return f"{name}-next"


def start_script(
    service: Service,
    host_name: str,
    jobs: Iterable[Container] = (),
    *,
    recreate: bool = False,
    old: Replaced | None = None,
) -> str:
    """Shell: wait for images, run ``jobs``, compose up, wait for health. Fails naming service, host, last log lines.

    Compose leaves a job alone that is not named: its profile is not chosen.
    """
    file = quote(f"/root/{render.compose_path(service)}")
    old = old or Replaced()
    lines = ["set -eu", _gate(service, host_name), _bring_up(old.hidden), *_ending(service, host_name, old)]
    lines += dict.fromkeys(images.wait(container) for container in service.containers)
    for job in jobs:
        run = f"{_UP} --force-recreate --no-deps {quote(job.name)}"
        lines.append(f"docker compose -f {file} --profile job {run} 2>&1")
        lines.append(
            f"gate {quote(job.name)} {job.health.seconds} 'exited/*/0/*' 'exited/*' 'has not succeeded'"
        )
    if old.holds:
        lines.append(f"{old.holds} touch {old.marks} 2>/dev/null || true")
    gated = {item.name: item.health.seconds for item in service.containers if not item.job}
    lines.append(f"bring_up {file} {_words(gated)}{' --force-recreate' if recreate else ''}")
    return "\n".join(lines)


def _ending(service: Service, host_name: str, old: Replaced) -> Iterator[str]:
    """However the script ends, nobody is held any longer; what has failed is taken back before."""
    steps = []
    if old.labels:
        yield _way_back(service, host_name, old)
        steps.append("[ $? = 0 ] || back")
    if old.holds:
        steps.append(f"{old.holds} rm -f {old.marks} 2>/dev/null || true")
    if steps:
        yield f"trap {quote('; '.join(steps))} EXIT"


_UP = "up -d --no-build --quiet-pull"


def _words(gated: Mapping[str, int]) -> str:
    """``name=seconds …`` as one word of the shell."""
    return quote(" ".join(f"{name}={seconds}" for name, seconds in gated.items()))


_STATE = "{{.State.Status}}/{{if .State.Health}}{{.State.Health.Status}}{{end}}/{{.State.ExitCode}}/{{.RestartCount}}"


def _gate(service: Service, host_name: str) -> str:
    """The function ``gate``: container, seconds, the state to wait for, a hopeless one, what else is said."""
    where = f"{service.name}: container"
    return f"""
state() {{ docker inspect --type container --format '{_STATE}' "$@" 2>/dev/null | grep .; }}
gate() {{
    deadline=$(($(date +%s) + $2)) first= looks=0
    while :; do
        state=$(state "$1-next" "$1") || state=missing///0
        case $state in
        ${{3:-running/healthy/*}}) return 0 ;;
        ${{4:-dead/*}}) deadline=0 ;;
        esac
        first=${{first:-${{state##*/}}}}
        [ "${{state##*/}}" -lt $((first + {_RESTARTS})) ] || deadline=0
        if [ "$(date +%s)" -ge $deadline ]; then
            echo {quote(where)} "$1 on {host_name} ${{5:-is not healthy after $2 s}} (${{state%/*}}); its last 50 log lines:" >&2
            ! state "$1-next" >/dev/null || set -- "$1-next"
            docker logs --tail 50 "$1" >&2 2>&1 || true
            return 1
        fi
        looks=$((looks + 1))
        [ $looks -lt 10 ] && sleep 0.3 || sleep 1
    done
}}
""".strip()


def _bring_up(hidden: Iterable[str]) -> str:
    """The function ``bring_up``: compose file, ``container=seconds …``, an option for compose.

    A hidden container has no name that the proxy knows: before it starts it is renamed, and loses the aliases that
    compose gives it in the proxy's network. Its name is what it gets back.
    """
    names = " ".join(map(quote, hidden))
    gates = 'for item in $2; do gate "${item%=*}" "${item##*=}" || return; done'
    if not names:
        return f"""
bring_up() {{
    docker compose -f "$1" {_UP} --remove-orphans ${{3:-}} 2>&1 || return
    {gates}
}}
""".strip()
    return f"""
hide() {{
    [ "$(docker inspect --type container --format '{{{{.State.Status}}}}' "$1")" = created ] || return 0
    docker rename "$1" "$1-next" || return 1
    docker network disconnect {CORE} "$1-next" && docker network connect {CORE} "$1-next"
}}
bring_up() {{
    for item in {names}; do docker rm --force "$item-next" >/dev/null 2>&1 || true; done
    docker compose -f "$1" {_UP.replace("-d", "--no-start")} --remove-orphans ${{3:-}} 2>&1 || return
    for item in {names}; do hide "$item" || true; done
    docker compose -f "$1" start 2>&1 || return
    {gates}
    for item in {names}; do ! state "$item-next" >/dev/null || docker rename "$item-next" "$item" || return; done
}}
""".strip()


def _way_back(service: Service, host_name: str, old: Replaced) -> str:
    """The function ``back``: the generation of before, else the newest whose compose file has these labels, is
    active again, and so is what it describes. What it says first ends it when nobody listens any more: a run that was
    killed has not failed, and the next one goes on from there.
    """
    path = render.compose_path(service)
    labels = " && ".join(
        f"""grep -qsE {quote(f'{render.DIGEST_LABEL}: "?{re.escape(label)}"?$')} "$old/{path}\""""
        for label in old.labels
    )
    gated = _words({name.removesuffix("-next"): _BACK_SECONDS for name in old.running})
    where = f"{service.name} on {host_name}"
    return f"""
back() {{
    echo {quote(where)} "goes back to what ran before" >&2
    for old in "$(readlink -f {PREVIOUS})" $(ls -1dt {render.ROOT}/generations/*); do
        {labels} || continue
        touch "$old"
        ln -sfn "generations/${{old##*/}}" {render.ROOT}/.current && mv -T {render.ROOT}/.current {render.CURRENT}
        if bring_up "$old/{path}" {gated}; then
            echo {quote(where)} "runs as before again, and the generation ${{old##*/}} is active" >&2
            return
        fi
        break
    done
    echo {quote(where)} "cannot be brought back to what ran before" >&2
}}
""".strip()

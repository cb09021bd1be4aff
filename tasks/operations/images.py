"""Images: pulled or built in the background from the run's beginning, waited for where they are needed."""

import sys
from collections.abc import Iterable, Iterator
from shlex import quote

from pyinfra.api import StringCommand

from tasks.connection.drafts import note
from tasks.facts import DockerFact, DockerState
from tasks.model import forks, image_names, pins
from tasks.model.catalogue import Container, Service
from tasks.model.effects import Pull
from tasks.model.targets import target
from tasks.operations import described
from tasks.rendering import docker_calls, render
from tasks.rendering.host_files import tools
from tasks.run import Commands, known, operation, services, stack

_UNIT = "smarteros-images"
# A registry that has stopped to send would be waited for without end.
_PULL_SECONDS = 1800
# came REFERENCE "NUMBERS": an image that was not there before, under whatever name, came by us; no other is ever removed.
_CAME = f"""
came() {{
    id=$(docker image inspect --format '{{{{.Id}}}}' "$1") || return 0
    case $2 in *"$id"*) ;; *) (umask 077 && mkdir -p {render.RECORDS} && echo "$1 $id" >>{render.RECORDS}/.brought) ;; esac || true
}}
""".strip()


def programs(container: Container, state: DockerState) -> tuple[str, str]:
    """What runs of it, and what will: of an image of ours what that is built on. The first is empty where nothing is there."""
    there, wanted = state.containers.get(container.name), render.image(container)
    runs = there.image if there else ""
    if runs not in state.bases and image_names.parted(runs)[0] == image_names.parted(wanted)[0]:
        return runs, wanted
    return state.bases.get(runs, runs), container.base or wanted


@operation
def fetch(chosen: Iterable[Service]) -> Commands:
    """Starts to pull and build every missing image in the background, all at once; ``wait`` waits for one."""
    present = known(DockerFact).images
    missing = {
        render.image(container): container
        for service in chosen
        for container in service.containers
        if image_names.present(render.image(container)) not in present
    }
    for image in missing:
        note(Pull(image))
    if missing:
        fetches = [_brought(reference, container) for reference, container in missing.items()]
        script = f"{_CAME}\n{' & '.join(fetches)} & wait"
        yield StringCommand(
            f"systemctl is-active --quiet {_UNIT} || "
            f"systemd-run --quiet --collect --unit {_UNIT} sh -c {quote(f'{docker_calls.EXPORT}; {script}')}"
        )


@operation
def arrived(chosen: Iterable[Service]) -> Commands:
    """They are there, also where nothing is started that would wait for them."""
    present = known(DockerFact).images
    for item in (container for service in chosen for container in service.containers):
        if image_names.present(render.image(item)) not in present:
            yield StringCommand(wait(item))


def remarks() -> Iterator[str]:
    """Images that somebody else has made under a name of ours, which no override of the settings gives."""
    local = known(DockerFact).local
    found = {
        render.image(container): service.name
        for service in reversed(services())
        for container in service.containers
        if not (container.build or container.fork or container.image == stack().override(service.name).image)
    }
    for image in sorted(local & found.keys()):
        yield (
            f"docker: {image} is on the host and came from no registry (built, loaded or tagged there), and it runs as ours: if "
            f"that is not meant, `docker image rm {image}`, or name another in overrides.{found[image]}.image"
        )


def unpinned() -> Iterator[str]:
    """Where images are pinned, those that are not: whoever may push to their repositories decides what a tag brings. Not in a rollback,
    which starts the very images that ran then.
    """
    yield from pins.astray(sys.argv)
    if described.back()[0] or not pins.whole(stack().pins):
        return
    if found := sorted(pins.references((*services(), *tools(stack())))):
        yield (
            f"images: {', '.join(found)}: pulled by tag, since what {'it stands' if len(found) == 1 else 'they stand'} for is not in the "
            f"inventory's lock file: {target('pin')} writes it there"
        )


def wait(container: Container) -> str:
    """Shell: the background unit may be at it; when it is gone without the image, three tries of our own."""
    reference = render.image(container)
    return f"""
{_CAME}
tries=0
until docker image inspect {quote(reference)} >/dev/null 2>&1; do
    if systemctl is-active --quiet {_UNIT}; then sleep 1; continue; fi
    tries=$((tries + 1))
    [ $tries -le 3 ] || {{ echo {quote(f"image {reference} cannot be had; see the lines above")} >&2; exit 1; }}
    {_brought(reference, container)} || sleep 3
done
""".strip()


def _brought(reference: str, container: Container) -> str:
    """Fetches it, and notes on the host that it came by us (files/record.sh)."""
    fetch = _fetch(reference, container)
    return f'{{ had=$(docker image ls -aq --no-trunc) && {fetch} && came {quote(reference)} "$had"; }}'


def _fetch(reference: str, container: Container) -> str:
    """Pulls or builds it. A build runs in the host's network: its resolver is the host's, whatever
    Docker's default bridge gets.
    """
    if container.fork:
        return forks.build(reference, container.fork)
    if container.build:
        given = "".join(
            f"--build-arg {quote(f'{name}={value}')} " for name, value in render.arguments(container).items()
        )
        return f"docker build --quiet --network host {given}--tag {quote(reference)} {render.CURRENT}/build/{container.build}"
    return f"timeout {_PULL_SECONDS} docker pull --quiet {quote(reference)}"

"""Swarm wanted: what a service's tasks are made from: its rendered files, its secrets, and what its images are on the host that looks after
them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.clients.engine_api import Api
from tasks.facts import DockerFact
from tasks.model import image_names
from tasks.model.catalogue import Container, Service
from tasks.operations.swarm_rolling import Wanted
from tasks.rendering import render, swarm_spec
from tasks.rendering.swarm_spec import Brought, Start
from tasks.rendering.swarm_units import Unreadable
from tasks.run import Refused, host, known, stack

# Seconds. A task whose health check never passes is given up after its start and three more of it; then comes what ran before.
_GIVEN_UP, _EACH = 105, 20


@dataclass(frozen=True)
class Carried:
    """A service's secrets. digest: keyed, of all of them; empty where it has none. text: as its tasks read them (swarm_spec.secret_text)."""

    digest: str = ""
    text: str = field(default="", repr=False)


def wanted(service: Service, carried: Carried) -> list[Wanted] | None:
    """Its containers as a swarm's services; None where an image is still to come, so that nobody can say. Raises Refused."""
    present = known(DockerFact).images
    if not {image_names.present(render.image(item)) for item in service.containers} <= present:
        return None
    try:
        return [*_wanted(service, carried)]
    except Unreadable as error:
        raise Refused(f"{service.name}: {error}: see overrides.{service.name}") from None


def _wanted(service: Service, carried: Carried) -> Iterator[Wanted]:
    files = render.render(stack(), service)
    for item in service.containers:
        start = _start(item) if item.env_file else Start()
        brought = Brought(files, start, carried.digest, _pinned(item))
        spec = swarm_spec.spec(service, item, files[render.compose_path(service)], brought)
        secret = swarm_spec.secret_name(service, carried.digest)
        texts = {
            "secrets": {secret: carried.text} if item.env_file else {},
            "configs": {name: text for name, (_, text) in swarm_spec.configs(service, item, files).items()},
        }
        each = item.health.seconds + _GIVEN_UP + item.stop_seconds + _EACH
        yield Wanted(service.name, spec, texts, each * (item.replicas + 1))


def _pinned(container: Container) -> str:
    """Its image with the digest that it has here, so that every node runs the same; what no registry has given is known by its tag alone."""
    reference = render.image(container)
    digest = known(DockerFact).digests.get(reference, "")
    return f"{reference}@{digest}" if digest and "@" not in reference else reference


def _start(container: Container) -> Start:
    with Api(host()) as engine:
        there = engine.get(f"/images/{render.image(container)}/json") or {}
    found = there.get("Config") or {}
    return Start(found.get("Entrypoint") or (), found.get("Cmd") or ())

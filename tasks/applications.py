"""Applications: every service that is neither Vault, nor data, nor the proxy, in start order."""

from functools import partial

from tasks import data, secrets
from tasks.model.catalogue import Service
from tasks.operations import containers, first_run, images, swarm_services, swarm_wanted
from tasks.operations.described import digests, mounted
from tasks.operations.swarm_rolling import Wanted
from tasks.operations.swarm_wanted import Carried
from tasks.rendering.swarm_spec import secret_text
from tasks.run import services, tasked
from tasks.secrets import coming


def run() -> None:
    """The phase. One that does not become healthy stops the run: those after it are not touched."""
    if there := tasked():
        images.arrived(there, name="Services | the images of what runs as tasks of the swarm")
    for service in services():
        if service.nodes:
            swarm_services.converged(service, partial(_wanted, service), name=f"Services | {service.title}")
        elif service.phase == "services":
            containers.start(
                service,
                digests(service),
                mounted(service),
                partial(coming, service),
                partial(data.password, service),
                name=f"Services | {service.title}",
            )
            if service.admin:
                first_run.configured(service, name=f"Services | {service.title}: its first admin")


def _wanted(service: Service) -> list[Wanted] | None:
    """None while a plan cannot tell."""
    if not service.secrets:
        return swarm_wanted.wanted(service, Carried())
    if secrets.to_come(*((service.name, item.name) for item in service.secrets if item.kind != "given")):
        return None
    secrets.env_text(service)  # what no variable can be is refused, as everywhere
    values = secrets.variables(service)
    return swarm_wanted.wanted(service, Carried(secrets.keyed_digest(values)[:12], secret_text(values)))

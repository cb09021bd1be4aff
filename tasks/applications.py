"""Applications: every service that is neither Vault, nor data, nor the proxy, in start order."""

from functools import partial

from tasks import data
from tasks.operations import containers, first_run
from tasks.operations.described import digests, mounted
from tasks.run import services
from tasks.secrets import coming


def run() -> None:
    """The phase. One that does not become healthy stops the run: those after it are not touched."""
    for service in services():
        if service.phase == "services":
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

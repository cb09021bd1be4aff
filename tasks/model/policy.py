"""Policy: what confines every container is the template's; what one is let off has its reason in the service's file."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tasks.model.catalogue import Container, Service

# What the template decides, or a field of Container; written into ``extra`` it would silently win.
_NOT_EXTRA = re.compile(
    "build|cap_add|cap_drop|cgroup|cgroup_parent|command|container_name|cpus|deploy|device_cgroup_rules|devices|"
    "entrypoint|env_file|environment|healthcheck|image|init|ipc|labels|logging|mem_limit|memswap_limit|network_mode|networks|"
    "oom_kill_disable|pid|pids_limit|ports|privileged|profiles|read_only|restart|runtime|security_opt|"
    "stop_grace_period|stop_signal|tmpfs|user|userns_mode|uts|volumes|volumes_from"
)
# Why some programs get a capability that they do not use: even a port below 1024 needs none in a container.
FILE_CAPABILITY = "the image's program carries this file capability and cannot be executed without it"

_ROOT = re.compile(r"(root|0+)(:.*)?")


class Undeclared(ValueError):
    """A service's file lets a container off without a reason; a mistake in this repository, not in settings."""


def with_loopback_ports(services: list[Service]) -> list[Service]:
    """The architecture's host ports end at the proxy, so that a service can be replaced behind them."""
    owners = {route.loopback: item.name for item in services for route in item.routes if route.loopback}
    ports = {
        f"127.0.0.1:{port}:{port}": f"the architecture's port of {owners[port]}" for port in sorted(owners)
    }
    return [_with_ports(item, ports) if item.phase == "proxy" else item for item in services]


def _with_ports(service: Service, ports: Mapping[str, str]) -> Service:
    first, *others = service.containers
    return replace(service, containers=(replace(first, ports={**first.ports, **ports}), *others))


def declared(services: Iterable[Service]) -> list[Service]:
    """The services as they are. Raises Undeclared with every exception that has no reason."""
    chosen = list(services)
    if lines := [line for item in chosen for each in item.containers for line in problems(each)]:
        raise Undeclared("\n".join(lines))
    return chosen


def exceptions(container: Container) -> dict[str, str]:
    """What the container is let off → why."""
    named = {
        "capability": container.cap_add,
        "bind": {**container.binds, **{f"{item.path}:{item.path}": item.why for item in container.folders}},
        "port": container.ports,
    }
    found = {f"{kind} {name}": why for kind, reasons in named.items() for name, why in reasons.items()}
    alone = {
        "user root": container.root,
        "writable root": container.writable,
        "executable /tmp": container.executable,
    }
    return found | {what: why for what, why in alone.items() if why}


def problems(container: Container) -> Iterator[str]:
    """Each exception without a reason, and what would go round the policy. Pure."""
    for what, why in exceptions(container).items():
        if not why.strip():
            yield f"{container.name}: {what} has no reason"
    if not container.user and not container.root:
        yield f"{container.name}: no user is named: name one, or say why it runs as root"
    if container.user and container.root:
        yield f"{container.name}: a reason for root, and yet the user {container.user}"
    if _ROOT.fullmatch(container.user):
        yield f"{container.name}: the user {container.user} is root: say why in its place"
    for key in sorted(filter(_NOT_EXTRA.fullmatch, container.extra)):
        yield f"{container.name}: extra may not hold {key}"
    for volume in container.volumes:
        if not re.fullmatch(r"\w+", volume.name):
            yield f"{container.name}: the volume {volume.name} is no name: a path of the host belongs into binds"

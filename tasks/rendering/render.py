"""render: (stack, service) → {path: text}. Pure: no host, no clock, no secret; golden files stop here.

Paths are relative to a generation (``/opt/smarteros/current``). Three kinds of file come out: the
service's compose file, its own configuration (``templates/<folder>``), the build context of its image.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import yaml

from tasks.model import catalogue, public_paths
from tasks.model.catalogue import Container, Route, Service
from tasks.model.size import PROCESSES
from tasks.model.stack import LOCAL, Stack
from tasks.rendering import backup_files, drift_files, host_files, notify_files, outdated_files, restore_files
from tasks.rendering.templates import FOLDER, HOME, jinja
from tasks.services import load

ROOT = "/opt/smarteros"
CURRENT = f"{ROOT}/current"
TASKS_IMAGES = "tasks/images"
RECORDS = f"{ROOT}/records"
SECRETS = "/vault/secrets"
DIGEST_LABEL = "smarteros.digest"
SERVICE_LABEL = "smarteros.service"
SECRETS_VARIABLE = "SMARTEROS_SECRETS_DIGEST"

Files = dict[str, str]

# libyaml, ten times as fast, where the wheel brings it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def digest(*parts: str) -> str:
    """12 hexadecimal digits that identify the parts; no other parts share them."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def tree(stack: Stack, here: Sequence[Service] | None = None, tasked: Sequence[Service] = ()) -> Files:
    """Every rendered file of the services of this host, all that are enabled where nothing else is said, and those for the operator. Of a
    swarm's tasks, tasked, which images they have, and what these are built from: all else comes with each of them.
    """
    files: Files = {}
    services = tuple(load(stack) if here is None else here)
    for service in services:
        files |= {} if service.nodes else render(stack, service)
    items = [container for service in tasked for container in service.containers]
    for item in items:
        files |= _contexts(item)
    if items:
        files[TASKS_IMAGES] = "".join(f"{each}\n" for each in sorted(map(image, items)))
    return (
        files
        | host_files.files(stack, services)
        | drift_files.files()
        | outdated_files.files(stack)
        | notify_files.files(stack, services)
        | backup_files.files(stack, CURRENT, SERVICE_LABEL, bucket(stack))
        | restore_files.files(stack, services, CURRENT, SERVICE_LABEL)
    )


def bucket(stack: Stack) -> str:
    """Tells one bucket from another; empty without one."""
    where = stack.backup
    return digest(where.endpoint, where.region, where.bucket) if where else ""


def render(stack: Stack, service: Service) -> Files:
    """All files of one service, the compose file last, since its labels hold the others' digest."""
    files: Files = {}
    for container in service.containers:
        for folder in container.files:
            files |= _configuration(stack, service, folder)
        files |= _contexts(container)
    files[compose_path(service)] = compose(stack, service, files)
    return files


def _contexts(container: Container) -> Files:
    built = container.build
    return {f"build/{built}/{path}": text for path, text in context(built).items()} if built else {}


def caddyfile_digest(text: str) -> str:
    """The digest that a Caddyfile of ours answers with (its ``respond`` line)."""
    found = re.search(r'respond "([0-9a-f]{12})"', text)
    return found.group(1) if found else ""


def compose_path(service: Service) -> str:
    """Where the service's compose file stands in a generation."""
    return f"dkcompose/{service.name}-deploy.yaml"


def compose(stack: Stack, service: Service, files: Mapping[str, str]) -> str:
    """The compose file, each container labelled with its digest."""
    return _compose_text(stack, service, digests(stack, service, files))


def digests(stack: Stack, service: Service, files: Mapping[str, str]) -> dict[str, str]:
    """Container → digest of all it is made from: its definition and the files mounted into it.

    Not its secrets: those carry a keyed digest of their own in the env file (see tasks/secrets.py).
    """
    plain = defined(_compose_text(stack, service, {}))
    return {
        container.name: digest(
            json.dumps(plain[container.name], sort_keys=True), *_flat(_mounted(container, files))
        )
        for container in service.containers
    }


def labelled(text: str) -> dict[str, str]:
    """A compose file → container → the digest that its label shows."""
    return {name: item["labels"][DIGEST_LABEL] for name, item in defined(text).items()}


def images(text: str) -> dict[str, str]:
    """A compose file → container → its image."""
    return {name: item["image"] for name, item in defined(text).items()}


def defined(text: str) -> dict[str, Any]:
    """A compose file → container → what it says of it."""
    found: dict[str, Any] = yaml.load(text, _Loader)["services"]  # noqa: S506  a safe one
    return found


def mounted(container: Container, files: Mapping[str, str]) -> dict[str, str]:
    """Path in the container → SHA-256 of the file that it has to see there."""
    ours = _mounted(container, files)
    return {
        f"{container.files[folder]}/{rest}": hashlib.sha256(text.encode()).hexdigest()
        for path, text in ours.items()
        for folder, _, rest in (path.partition("/"),)
    }


def image(container: Container) -> str:
    """The image reference; one that is built here is tagged with the digest of its context."""
    if not container.build:
        return container.image
    base = [container.base] if container.base else []
    return f"{container.image}:{digest(*_flat(context(container.build)), *base, *_flat({**container.arguments}))}"


def arguments(container: Container) -> dict[str, str]:
    """What its Dockerfile is given."""
    return {**({"BASE": container.base} if container.base else {}), **container.arguments}


@cache
def context(name: str) -> Mapping[str, str]:
    """A build context under ``files/``: path → text."""
    root = HOME / "files" / name
    paths = {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}
    return {name: path.read_text("utf-8") for name, path in paths.items() if not _CACHE.search(name)}


# What tools leave behind in a working copy: hidden folders and Python's caches.
_CACHE = re.compile(r"(^|/)(\.|__pycache__/)")


def _mounted(container: Container, files: Mapping[str, str]) -> Files:
    """The Caddyfile is none of them where it is reloaded; what it names, like a root certificate, is."""
    mounted = {path: text for path, text in files.items() if path.split("/")[0] in container.files}
    if container.reloads:
        mounted.pop("caddy/Caddyfile", None)
    return mounted


def _flat(files: Mapping[str, str]) -> list[str]:
    return [part for item in sorted(files.items()) for part in item]


def _configuration(stack: Stack, service: Service, folder: str) -> Files:
    names = sorted(path.name for path in (FOLDER / folder).iterdir() if path.suffix == ".j2")
    texts = {
        f"{folder}/{name.removesuffix('.j2')}": _template(stack, service, f"{folder}/{name}")
        for name in names
    }
    return {path: text.replace("@digest@", digest(text)) for path, text in texts.items() if text.strip()}


def scraped(service: Service, route: Route) -> tuple[str, ...]:
    """Paths of a route that are Prometheus', and nobody else's."""
    ports = {route.port, *route.paths.values()}
    here = [item for item in service.metrics if item.container == route.container and item.port in ports]
    return tuple(dict.fromkeys(item.path for item in here))


def _template(stack: Stack, service: Service, name: str) -> str:
    functions = {"domains": catalogue.domains, "expression": public_paths.expression, "scraped": scraped}
    return jinja().get_template(name).render(stack=stack, service=service, services=load(stack), **functions)


def _compose_text(stack: Stack, service: Service, labels: Mapping[str, str]) -> str:
    names = {"service_label": SERVICE_LABEL, "digest_label": DIGEST_LABEL, "labels": labels}
    places = {
        "current": CURRENT,
        "secrets": SECRETS,
        "core": catalogue.CORE,
        "local": LOCAL,
        "processes": PROCESSES,
    }
    built = {"image": image, "arguments": arguments}
    return (
        jinja()
        .get_template("compose.yaml.j2")
        .render(stack=stack, service=service, **names, **places, **built)
    )

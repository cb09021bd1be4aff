"""Host files: what an operator finds in /root beside compose files and Caddyfile: scripts, env templates."""

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.model.catalogue import Service, domains
from tasks.model.given import BUCKET, asked, place
from tasks.model.overrides import overridden
from tasks.model.stack import Stack
from tasks.rendering.templates import FOLDER, jinja
from tasks.services import caddy, vault

SCRIPTS, ENV_TEMPLATES = "scripts", "env-templates"
_CONFIG = "-smarter-config"
_SUFFIX = ".sh.j2"


def files(stack: Stack, services: tuple[Service, ...]) -> dict[str, str]:
    """Path in a generation → text. A script for one service's first run comes with that service only."""
    by_name = {service.name: service for service in services}
    found: dict[str, str] = {}
    for name in sorted(path.name.removesuffix(_SUFFIX) for path in (FOLDER / SCRIPTS).glob(f"*{_SUFFIX}")):
        service = by_name.get(name.removesuffix(_CONFIG)) if name.endswith(_CONFIG) else None
        if (service and service.admin) or not name.endswith(_CONFIG):
            found[f"{SCRIPTS}/{name}.sh"] = _script(stack, services, service, name)
    for service in services:
        if service.secrets:
            found[f"{ENV_TEMPLATES}/{service.name}.env.example"] = _env_template(stack, services, service)
    return found


def links(tree: Mapping[str, str]) -> dict[str, str]:
    """Path on the host → path in the generation, for every file of ours in ``tree``."""
    scripts = {f"/root/{path.removeprefix(f'{SCRIPTS}/')}": path for path in tree if _is(path, SCRIPTS)}
    return scripts | {f"/root/{path}": path for path in tree if _is(path, ENV_TEMPLATES)}


def _is(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def _script(stack: Stack, services: tuple[Service, ...], service: Service | None, name: str) -> str:
    return _render(
        f"{SCRIPTS}/{name}{_SUFFIX}",
        stack=stack,
        services=services,
        service=service,
        engine=vault.ENGINES[stack.vault_engine],
        given=asked(services, stack),
        admins=[item.admin for item in services if item.admin],
        images={item.name: item.main.image for item in tools(stack)},
    )


def tools(stack: Stack) -> Iterator[Service]:
    """The services whose programs generate-secrets.sh uses, whether they run on this host or not."""
    for module in (vault, caddy):
        yield overridden(stack, module.describe(stack))


def _env_template(stack: Stack, services: tuple[Service, ...], service: Service) -> str:
    return _render(
        f"{ENV_TEMPLATES}/service.env.example.j2",
        stack=stack,
        service=service,
        secrets=[(secret, [*_uses(service, secret.name)]) for secret in service.secrets],
        users=[item for item in services if item.redis and service.name == "redis"],
        readers=[container for container in service.containers if container.env_file],
        plain=_plain(service),
        bucket=BUCKET,
    )


def _plain(service: Service) -> list[tuple[list[str], Mapping[str, str]]]:
    """Containers and their environment, which several of one program share."""
    environments = [item.environment for item in service.containers if item.environment]
    once = [item for index, item in enumerate(environments) if item not in environments[:index]]
    return [([c.name for c in service.containers if c.environment == item], item) for item in once]


def _uses(service: Service, name: str) -> Iterator[str]:
    """What the secret is for, where the catalogue says it."""
    for database in service.databases:
        if database.secret == name:
            yield f"password of the Postgres role {database.name}, which owns the database {database.name}"
    if service.redis and service.redis.secret == name:
        yield f"password of the Redis user {service.redis.name}"
    if service.admin and service.admin.secret == name:
        yield f"first login: {service.admin.login}"


def _render(template: str, **names: Any) -> str:
    return jinja().get_template(template).render(domains=domains, place=place, **names)

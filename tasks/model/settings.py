"""read: outside data → Stack; nothing else reads ``host.data``.

Settings come from ``group_data``, so unknown keys, wrong types and contradictions, also those with the
catalogue, are refused here, all at once, each with its settings path.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tasks.model.catalogue import Describe, Service, domains
from tasks.model.load import load
from tasks.model.stack import BadSettings, Fork, McpServer, Override, Stack

# What pyinfra's own connectors read from host data; every other key has to be a setting of ours.
_CONNECTOR_KEY = re.compile(r"_|ssh_|local_|fake_")
Table = Mapping[Any, Any]


def read(data: Mapping[str, Any], every: Mapping[str, Describe]) -> Stack:
    """Settings → Stack. Raises BadSettings with every mistake. every: the services there are, by name."""
    names = tuple(every)
    try:
        stack = _parse(data, names)
    except BadSettings as error:
        rest = _readable(data, names)
        raise BadSettings(sorted({*error.lines, *(_mistakes(rest, every) if rest else ())})) from None
    if lines := sorted(set(_mistakes(stack, every))):
        raise BadSettings(lines)
    return stack


def _parse(data: Mapping[str, Any], names: tuple[str, ...]) -> Stack:
    """Settings → Stack. Raises BadSettings with every mistake that can be seen without the catalogue."""
    settings = {key: value for key, value in data.items() if not _CONNECTOR_KEY.match(key)}
    lines: list[str] = []
    stack = None
    try:
        stack = Stack.model_validate(settings)
    except ValidationError as error:
        lines += [_line(detail) for detail in error.errors(include_url=False)]
    lines += _contradictions(settings, names)
    if lines or stack is None:
        raise BadSettings(sorted(set(lines)))
    return stack


def _readable(data: Mapping[str, Any], names: tuple[str, ...]) -> Stack | None:
    """What is left of bad settings without the mistakes, so that the catalogue's checks still run on it;
    None when it names no service or no network.
    """
    settings: dict[str, Any] = {key: data[key] for key in Stack.model_fields if key in data}
    settings |= {"services": _meant(data.get("services"), names), "networks": _strings(data.get("networks"))}
    try:
        Stack.model_validate(settings)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            settings = _without(settings, detail["loc"])
    try:
        return Stack.model_validate({"zone": "zone.invalid", **settings})
    except ValidationError:
        return None


def _without(settings: Mapping[str, Any], path: tuple[int | str, ...]) -> dict[str, Any]:
    """The settings without one of them; of an override only the setting, where it is known which."""
    first, *rest = path
    kept = {key: value for key, value in settings.items() if key != first}
    overrides = settings.get("overrides")
    if first == "overrides" and rest and isinstance(overrides, dict):
        service = overrides.get(rest[0])
        less = {rest[0]: _without(service, tuple(rest[1:]))} if rest[1:] and isinstance(service, dict) else {}
        kept["overrides"] = {key: value for key, value in overrides.items() if key != rest[0]} | less
    return kept


def _line(detail: ErrorDetails) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        models: dict[str, type[BaseModel]] = {"overrides": Override, "mcp_servers": McpServer, "forks": Fork}
        model = models.get(str(detail["loc"][0]), Stack)
        message = "unknown setting" + suggestion(str(detail["loc"][-1]), model.model_fields)
    elif detail["type"] == "missing":
        message = "is required"
    return f"{path}: {message}"


def suggestion(name: str, names: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for a near miss, else nothing."""
    near = get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _contradictions(settings: Mapping[str, Any], names: tuple[str, ...]) -> Iterable[str]:
    """Mistakes that pydantic's field types cannot see; must hold on data of any type."""
    services = _strings(settings.get("services"))
    networks = _strings(settings.get("networks"))
    for index, name in enumerate(services):
        if name not in names:
            yield f"services.{index}: unknown service {name!r}{suggestion(name, names)}"
        elif name in services[:index]:
            yield f"services.{index}: {name!r} is listed twice"
    for index, name in enumerate(networks):
        if name in networks[:index]:
            yield f"networks.{index}: {name!r} is listed twice"
    yield from _vault_contradictions(settings, _meant(services, names))
    if "caddy" in services and not settings.get("acme_email"):
        yield "acme_email: is required: the certificate authority sends expiry warnings there"
    yield from _of_services(_table(settings.get("overrides")), _table(settings.get("forks")), names)


def _of_services(overrides: Table, forks: Table, names: tuple[str, ...]) -> Iterable[str]:
    for setting, table in (("overrides", overrides), ("forks", forks)):
        for name in table:
            if name not in names:
                yield f"{setting}.{name}: unknown service{suggestion(str(name), names)}"
    for name, change in overrides.items():
        if _table(change).get("build") and name not in forks:
            yield f"overrides.{name}.build: needs {name!r} in forks, which says where its source is"
        if _table(change).get("build") and change.get("image"):
            yield f"overrides.{name}.build: contradicts overrides.{name}.image: choose one"


def _vault_contradictions(settings: Mapping[str, Any], services: list[str]) -> Iterable[str]:
    shares, threshold = settings.get("vault_shares", 5), settings.get("vault_threshold", 3)
    if isinstance(shares, int) and isinstance(threshold, int) and threshold > shares:
        yield f"vault_threshold: {threshold} is more than vault_shares ({shares}): it could never be unsealed"
    if threshold == 1 and isinstance(shares, int) and shares > 1:
        yield "vault_threshold: 1 needs vault_shares = 1 (Vault refuses several shares of which one is enough)"
    if settings.get("vault_address") and "vault" in services:
        yield "vault_address: an external Vault is set, so 'vault' must not be in services"
    if not settings.get("vault_address") and services and "vault" not in services:
        yield "services: 'vault' is missing, and no vault_address names an external one"


def _meant(services: Any, names: tuple[str, ...]) -> list[str]:
    """The services, a misspelt one as what was meant: nothing else is said to be missing because of it."""
    near = [match for name in _strings(services) for match in get_close_matches(name, names, n=1)]
    return list(dict.fromkeys(near))


def _table(value: Any) -> Table:
    return value if isinstance(value, dict) else {}


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []


def _mistakes(stack: Stack, every: Mapping[str, Describe]) -> Iterator[str]:
    services = load(stack, every)
    names = {service.name for service in services}
    for service in services:
        for need in service.needs:
            if need not in names and not (need == "vault" and stack.vault_address):
                yield f"services: {service.name!r} needs {need!r}, which is not in the list"
        for container in service.containers:
            for network in container.networks:
                if network not in stack.networks:
                    yield (
                        f"overrides.{service.name}.networks: {network!r} is not in networks "
                        f"({', '.join(stack.networks)})"
                    )
        change = stack.override(service.name)
        for setting in () if service.routes else ("domain", "port", "guard"):
            if getattr(change, setting) is not None:
                yield f"overrides.{service.name}.{setting}: {service.name!r} has no domain"
    yield from _duplicates(stack, services)
    yield from _guards(services)


# Caddy's own: the web's, its API's, its health check's.
_PROXY_PORTS = (80, 443, 2019, 2020)


def _published(services: tuple[Service, ...]) -> dict[str | int, str]:
    """Ports of the host that are no route's → the service whose they are."""
    others = [(service, port) for service in services for item in service.containers for port in item.ports]
    taken: dict[str | int, str] = {
        int(port.split(":")[-2]): item.name for item, port in others if item.phase != "proxy"
    }
    return {**dict.fromkeys(_PROXY_PORTS, "caddy"), **taken}


def _duplicates(stack: Stack, services: tuple[Service, ...]) -> Iterator[str]:
    owners = _published(services)
    # The one with overrides comes last, so that the line names the setting that made the conflict.
    for service in sorted(services, key=lambda item: item.name in stack.overrides):
        for route in service.routes:
            taken: list[tuple[str, str | int]] = [("domain", name) for name in domains(stack, route)]
            taken += [("port", route.loopback)] if route.loopback else []
            for kind, value in taken:
                if value in owners:
                    yield f"overrides.{service.name}.{kind}: {value} is already {owners[value]}'s"
                owners.setdefault(value, service.name)


def _guards(services: tuple[Service, ...]) -> Iterator[str]:
    validator = any(service.name == "vault-auth-validator" for service in services)
    for service in services:
        guarded = any(route.guard for route in service.routes)
        if service.name == "vault-auth-validator":
            if guarded:
                yield "overrides.vault-auth-validator.guard: people sign in there, so it has to be open"
            if any(route.domain for route in service.routes):
                yield "overrides.vault-auth-validator.domain: people sign in at api.<zone>, in every zone"
        elif guarded and not validator:
            yield f"overrides.{service.name}.guard: needs 'vault-auth-validator' in services"

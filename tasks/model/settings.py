"""read: outside data → Stack; nothing else reads ``host.data``.

Settings come from ``group_data``, so unknown keys, wrong types and contradictions, also those with the
catalogue, are refused here, all at once, each with its settings path.
"""

import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tasks.model.catalogue import Describe
from tasks.model.conflicts import mistakes
from tasks.model.contradictions import contradictions, meant, mirrors, strings
from tasks.model.load import BACKUP
from tasks.model.mcp_types import McpServer
from tasks.model.notify_types import Notify
from tasks.model.stack import Backup, BadSettings, Fork, Mail, OpenPort, Override, Stack
from tasks.model.targets import target
from tasks.model.words import hidden, suggestion, wrong

# What pyinfra's own connectors read from host data; every other key has to be a setting of ours.
_CONNECTOR_KEY = re.compile(r"_|ssh_|local_|fake_")

_MODELS: dict[str, type[BaseModel]] = {
    "overrides": Override,
    "mcp_servers": McpServer,
    "forks": Fork,
    "mail": Mail,
    "notify": Notify,
    "backup": Backup,
    "open_ports": OpenPort,
}


def read(data: Mapping[str, Any], every: Mapping[str, Describe]) -> Stack:
    """Settings → Stack. Raises BadSettings with every mistake. every: the services there are, by name."""
    names = tuple(name for name in every if name != BACKUP)
    try:
        stack = _parse(data, names)
    except BadSettings as error:
        rest = _readable(data, names)
        raise BadSettings(sorted({*error.lines, *(mistakes(rest, every) if rest else ())})) from None
    if lines := sorted(set(mistakes(stack, every))):
        raise BadSettings(lines)
    return stack


def ours(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of a host's data is a setting, or was meant as one."""
    return {key: value for key, value in data.items() if not _CONNECTOR_KEY.match(key)}


def _parse(data: Mapping[str, Any], names: tuple[str, ...]) -> Stack:
    """Settings → Stack. Raises BadSettings with every mistake that can be seen without the catalogue."""
    settings = ours(data)
    unseen = dict(hidden(settings))
    lines = [f"{path}: {line}" for path, line in unseen.items()]
    stack = None
    try:
        stack = Stack.model_validate(settings)
    except ValidationError as error:
        found = [(_path(detail), detail) for detail in error.errors(include_url=False)]
        lines += [f"{path}: {_said(detail)}" for path, detail in found if path not in unseen]
    lines += contradictions(settings, names)
    if lines or stack is None:
        raise BadSettings(sorted(set(lines)))
    return stack


def _readable(data: Mapping[str, Any], names: tuple[str, ...]) -> Stack | None:
    """What is left of bad settings without the mistakes, so that the catalogue's checks still run on it;
    None when it names no service or no network.
    """
    settings: dict[str, Any] = {key: data[key] for key in Stack.model_fields if key in data}
    settings |= {"services": meant(data.get("services"), names), "networks": strings(data.get("networks"))}
    settings |= {"mirror_zones": mirrors(settings)}
    try:
        Stack.model_validate(settings)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            settings = _without(settings, detail["loc"])
    needed = {"zone": "zone.invalid"}
    if data.get("vault_address"):
        needed["vault_address"] = "https://vault.invalid"
    try:
        return Stack.model_validate(needed | settings)
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


# What was a setting once, or is none → where it is.
_GONE = {
    "mail.password": f"it is given to Vault alone: {target('give-secrets')} asks for it",
    "older_ssh_clients": "older SSH clients are let in unless strict_ssh = True, which is what older_ssh_clients = False was",
}


def _path(detail: ErrorDetails) -> str:
    return ".".join(str(part) for part in detail["loc"])


def _said(detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return "is required"
    if detail["type"] != "extra_forbidden":
        return wrong(detail)
    if callable(detail["input"]) or isinstance(detail["input"], ModuleType):
        return "is no setting: begin the names of what helps you with _"
    if _path(detail) in _GONE:
        return f"unknown setting: {_GONE[_path(detail)]}"
    model = _MODELS.get(str(detail["loc"][0]), Stack) if len(detail["loc"]) > 1 else Stack
    names = [field.alias or name for name, field in model.model_fields.items()]
    return "unknown setting" + suggestion(str(detail["loc"][-1]), names)

"""Stack: every setting, parsed once at the border; nothing else reads ``host.data``.

Settings come from ``group_data`` (outside data), so unknown keys, wrong types and contradictions
are refused here, all at once, each with its settings path. Past this file the data is trusted.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{4,253}}$)({_LABEL}\.)+(?!\d+$){_LABEL}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?")
_EMAIL = re.compile(r"[^@\s\x00-\x1f{}]+@[^@\s{}]+\.[^@\s{}]+")

# What pyinfra's own connectors read from host data; every other key has to be a setting of ours.
_CONNECTOR_KEY = re.compile(r"_|ssh_|local_")


class BadSettings(ValueError):
    """Settings that cannot be deployed: one ``path: what is wrong`` line for each mistake."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def _matching(pattern: re.Pattern[str], message: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} {message}")
        return value

    return AfterValidator(check)


Domain = Annotated[str, _matching(_DOMAIN, "is no domain name (like smarterbot.cl)")]
Image = Annotated[str, _matching(_IMAGE, "names no tag: write repository:tag, so that a run is repeatable")]
Email = Annotated[str, _matching(_EMAIL, "is no e-mail address")]
Address = Annotated[
    str, _matching(re.compile(r"https?://[^\s/{}\"]+"), "is no address like https://host:port")
]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Megabytes = Annotated[int, Field(gt=0, strict=True)]
Cores = Annotated[float, Field(gt=0, strict=True)]
Gigabytes = Annotated[float, Field(gt=0, strict=True)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


class Override(_Settings):
    """What an inventory may change of one service; everything left out stays as its file says."""

    image: Image | None = None
    domain: Domain | None = None
    port: Port | None = None
    guard: bool | None = None
    memory_mb: Megabytes | None = None
    cpus: Cores | None = None
    disk_gb: Gigabytes | None = None
    networks: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    health_seconds: Annotated[int, Field(gt=0, strict=True)] | None = None


class Stack(_Settings):
    """All settings of one inventory. ``group_data/all.py`` says what each is for."""

    zone: Domain
    mirror_zones: tuple[Domain, ...] = ()
    acme_email: Email | None = None
    acme_directory: Address | str = ""
    acme_root: str = ""
    trusted_root: str = ""
    services: tuple[str, ...] = Field(min_length=1)
    networks: tuple[str, ...] = Field(min_length=1)
    overrides: dict[str, Override] = {}
    vault_engine: Literal["vault", "openbao"] = "vault"
    vault_address: Address | None = None
    vault_mount: Annotated[str, _matching(re.compile(r"[a-z][a-z0-9-]*"), "is no mount name")] = "secret"
    vault_shares: Annotated[int, Field(ge=1, le=255, strict=True)] = 5
    vault_threshold: Annotated[int, Field(ge=1, le=255, strict=True)] = 3
    state_dir: str = "~/.local/state/smarteros"
    docker_source: Literal["distribution", "docker.com"] = "distribution"
    timezone: str = "UTC"

    def override(self, service: str) -> Override:
        """The overrides of one service, empty when the inventory has none."""
        return self.overrides.get(service, Override())


def parse(data: Mapping[str, Any], known_services: Iterable[str]) -> Stack:
    """Settings → Stack. Raises BadSettings with every mistake that can be seen without the catalogue."""
    settings = {key: value for key, value in data.items() if not _CONNECTOR_KEY.match(key)}
    known = tuple(known_services)
    lines: list[str] = []
    stack = None
    try:
        stack = Stack.model_validate(settings)
    except ValidationError as error:
        lines += [_line(detail) for detail in error.errors(include_url=False)]
    lines += _contradictions(settings, known)
    if lines or stack is None:
        raise BadSettings(sorted(set(lines)))
    return stack


def _line(detail: ErrorDetails) -> str:
    path = ".".join(str(part) for part in detail["loc"] if part not in _UNION_BRANCHES)
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        model = Override if detail["loc"][0] == "overrides" else Stack
        message = "unknown setting" + suggestion(str(detail["loc"][-1]), model.model_fields)
    elif detail["type"] == "missing":
        message = "is required"
    return f"{path}: {message}"


# pydantic adds the tried branch of a union to the path; an operator has no use for it.
_UNION_BRANCHES = frozenset({"function-after[check(), str]", "str"})


def suggestion(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for a near miss, else nothing."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _contradictions(settings: Mapping[str, Any], known: tuple[str, ...]) -> Iterable[str]:
    """Mistakes that pydantic's field types cannot see; must hold on data of any type."""
    services = _strings(settings.get("services"))
    networks = _strings(settings.get("networks"))
    for index, name in enumerate(services):
        if name not in known:
            yield f"services.{index}: unknown service {name!r}{suggestion(name, known)}"
        elif name in services[:index]:
            yield f"services.{index}: {name!r} is listed twice"
    for index, name in enumerate(networks):
        if name in networks[:index]:
            yield f"networks.{index}: {name!r} is listed twice"
    yield from _vault_contradictions(settings, services)
    if "caddy" in services and not settings.get("acme_email"):
        yield "acme_email: is required: the certificate authority sends expiry warnings there"
    overrides = settings.get("overrides")
    for name in overrides if isinstance(overrides, dict) else ():
        if name not in known:
            yield f"overrides.{name}: unknown service{suggestion(str(name), known)}"


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


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []


__all__ = ["BadSettings", "Override", "Stack", "parse", "suggestion"]

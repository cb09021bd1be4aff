"""Stack: every setting, with its type. ``tasks/settings.py`` makes it from outside data; past that it is trusted."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{4,253}}$)({_LABEL}\.)+(?!\d+$){_LABEL}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?")
_REVISION = re.compile(r"[0-9a-f]{7,40}|(?=.*\d)[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
# Nothing that a shell or git could take for more than an address: no blank, no quote, no leading dash.
_REPOSITORY = re.compile(
    r"(https?://HOST/|ssh://(USER@)?HOST/|USER@HOST:|file:///|/)[\w.~/+%-]+".replace(
        "HOST", r"[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?"
    ).replace("USER", r"\w[\w.-]*"),
    re.ASCII,
)
_PATH = r"(?!.*(\.\.|//))\w[\w./-]*"
_EMAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


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


def _pem(path: str) -> str:
    """The file's certificates: what is trusted is part of the settings, wherever the file stands."""
    try:
        text = Path(path).expanduser().read_text() if path else ""
    except (OSError, ValueError) as error:
        raise ValueError(f"{path!r} cannot be read: {getattr(error, 'strerror', error)}") from None
    if path and "-----BEGIN CERTIFICATE-----" not in text:
        raise ValueError(f"{path!r} holds no certificate in PEM form")
    return text


Domain = Annotated[str, _matching(_DOMAIN, "is no domain name (like smarterbot.cl)")]
Image = Annotated[str, _matching(_IMAGE, "names no tag: write repository:tag, so that a run is repeatable")]
Revision = Annotated[
    str,
    _matching(
        _REVISION,
        "is no commit (7 to 40 hexadecimal digits) and no tag with a digit (like v4.15.1-acme): "
        "name no branch, so that a run is repeatable",
    ),
]
Email = Annotated[str, _matching(_EMAIL, "is no e-mail address")]
Address = Annotated[
    str, _matching(re.compile(r"https?://[^\s/{}\"]+"), "is no address like https://host:port")
]
Directory = Annotated[
    str, _matching(re.compile(r"(https?://[^\s{}\"`]+)?"), "is no address like https://host/directory")
]
Network = Annotated[
    str, _matching(re.compile(r"[a-z][a-z0-9_.-]*"), "is no name of a network (like smarter-net)")
]
Variable = Annotated[str, _matching(re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), "is no name of a variable")]
TimeZone = Annotated[
    str, _matching(re.compile(r"[A-Za-z][A-Za-z0-9_+/-]*"), "is no time zone (like America/Santiago)")
]
Pem = Annotated[str, AfterValidator(_pem)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Megabytes = Annotated[int, Field(gt=0, strict=True)]
Cores = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
Gigabytes = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]


McpName = Annotated[
    str,
    Field(max_length=200),
    _matching(
        re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*/[A-Za-z0-9][A-Za-z0-9._-]*"),
        "is no name like io.github.owner/server",
    ),
]
McpText = Annotated[
    str, _matching(re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,100}"), "is not one line of 1 to 100 characters")
]
McpVersion = Annotated[
    str,
    _matching(
        re.compile(r"(?!latest$)[A-Za-z0-9][A-Za-z0-9._+-]{0,254}", re.IGNORECASE),
        "is no version (like 1.2.0)",
    ),
]
McpRemote = Annotated[
    str,
    Field(max_length=2000),
    _matching(
        re.compile(r"https?://[^\s/@{}\"`<>\\]+(/[^\s{}\"`<>\\]*)?"), "is no address like https://host/mcp"
    ),
]


def _listed(value: Any) -> Any:
    """A set has another order in every run, and what is rendered from it another digest."""
    if not isinstance(value, list | tuple):
        raise ValueError("has to be a list")  # noqa: TRY004  pydantic reports no TypeError
    return value


Listed = BeforeValidator(_listed)


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


def _repository(address: str) -> str:
    """The message does not show what may hold a password."""
    if re.match(r"https?://[^/]*@", address):
        raise ValueError("holds a login: use an address without one, or ssh (git@host:owner/name.git)")
    if not _REPOSITORY.fullmatch(address):
        raise ValueError(f"{address!r} is no address of a git repository (like https://host/owner/name.git)")
    return address


Repository = Annotated[str, AfterValidator(_repository)]


class Fork(_Settings):
    """A service's own repository; branch: empty means its default one. dockerfile: its path in there."""

    fork: Repository
    upstream: Repository
    branch: Annotated[
        str, _matching(re.compile(rf"({_PATH})?", re.ASCII), "is no name of a branch (like main)")
    ] = ""
    dockerfile: Annotated[
        str, _matching(re.compile(_PATH, re.ASCII), "is no path in the repository (like docker/Dockerfile)")
    ] = "Dockerfile"


class Override(_Settings):
    """What an inventory may change of one service; everything left out stays as its file says."""

    image: Image | None = None
    build: Revision | None = None
    domain: Domain | None = None
    port: Port | None = None
    guard: bool | None = None
    memory_mb: Megabytes | None = None
    cpus: Cores | None = None
    disk_gb: Gigabytes | None = None
    networks: Annotated[tuple[str, ...], Listed] | None = None
    environment: dict[Variable, str] = {}
    health_seconds: Annotated[int, Field(gt=0, strict=True)] | None = None


class McpServer(_Settings):
    """An entry of the MCP registry; the fields are those of server.json. remote: where it answers."""

    name: McpName
    description: McpText
    version: McpVersion
    remote: McpRemote | None = None


def _distinct(servers: tuple[McpServer, ...]) -> tuple[McpServer, ...]:
    """Their names are paths of the registry, which Caddy matches in either case."""
    names = [server.name.lower() for server in servers]
    for index, server in enumerate(servers):
        if names.index(names[index]) < index:
            raise ValueError(f"{server.name!r} is listed twice")
    return servers


class Stack(_Settings):
    """All settings of one inventory. ``group_data/all.py`` says what each is for."""

    zone: Domain
    mirror_zones: Annotated[tuple[Domain, ...], Listed] = ()
    acme_email: Email | None = None
    acme_directory: Directory = ""
    acme_root: Pem = ""
    trusted_root: str = ""
    services: Annotated[tuple[str, ...], Listed, Field(min_length=1)]
    networks: Annotated[tuple[Network, ...], Listed, Field(min_length=1)]
    profile: Literal["minimum", "recommended", "production"] = "minimum"
    overrides: dict[str, Override] = {}
    forks: dict[str, Fork] = {}
    mcp_servers: Annotated[tuple[McpServer, ...], Listed, AfterValidator(_distinct)] = ()
    vault_engine: Literal["vault", "openbao"] = "vault"
    vault_address: Address | None = None
    vault_mount: Annotated[str, _matching(re.compile(r"[a-z][a-z0-9-]*"), "is no mount name")] = "secret"
    vault_shares: Annotated[int, Field(ge=1, le=255, strict=True)] = 5
    vault_threshold: Annotated[int, Field(ge=1, le=255, strict=True)] = 3
    state_dir: str = "~/.local/state/smarteros"
    takeover: Annotated[str, _matching(re.compile(r"[A-Za-z0-9._/:-]*"), "names no container or image")] = ""
    docker_source: Literal["distribution", "docker.com"] = "distribution"
    timezone: TimeZone = "UTC"

    def override(self, service: str) -> Override:
        """The overrides of one service, empty when the inventory has none."""
        return self.overrides.get(service, Override())

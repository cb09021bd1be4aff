"""Stack: every setting, with its type. ``tasks/model/settings.py`` makes it from outside data; past that it is trusted."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, StrictStr

from tasks.model.adopt_types import Adopted
from tasks.model.backup_types import Bucket, Endpoint, Region, parts
from tasks.model.domain_types import Address, Directory, Domain, Email
from tasks.model.image_types import PATH, Image, Repository, Revision
from tasks.model.login_key_types import LoginKeys
from tasks.model.mail_types import PORTS, Login, MailHost
from tasks.model.mcp_types import McpServer, distinct
from tasks.model.network_types import Interface, Network, Node, Peer, Pools, Visitor
from tasks.model.notify_types import Notify
from tasks.model.path_types import LocalPath, OptionalPath, Pem
from tasks.model.port_types import Ports, Protocol, Target
from tasks.model.public_paths import PublicPath
from tasks.model.setting_types import (
    ENTRY,
    Cores,
    Gigabytes,
    Listed,
    Megabytes,
    Mount,
    Port,
    Seconds,
    TimeZone,
    User,
    Value,
    Variable,
    matching,
)
from tasks.model.shapes import shown

# Where the containers of a cluster's node reach one another (load.py).
LOCAL = "local-net"
# Of what copies away, and of what has come back: each reaches the bucket, and nobody of the stack.
BACKUP_NET, DRILL_NET = "backup-net", "drill-net"


class BadSettings(ValueError):
    """Settings that cannot be deployed: one ``path: what is wrong`` line for each mistake, whatever it is about."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(map(shown, lines))
        super().__init__("\n".join(self.lines))


class _Settings(BaseModel):
    model_config = ENTRY


class Fork(_Settings):
    """A service's own repository; branch: empty means its default one. dockerfile: its path in there."""

    fork: Repository
    upstream: Repository
    branch: Annotated[
        str, matching(re.compile(rf"({PATH})?", re.ASCII), "is no name of a branch (like main)")
    ] = ""
    dockerfile: Annotated[
        str, matching(re.compile(PATH, re.ASCII), "is no path in the repository (like docker/Dockerfile)")
    ] = "Dockerfile"


class Override(_Settings):
    """What an inventory may change of one service; everything left out stays as its file says."""

    image: Image | None = None
    build: Revision | None = None
    domain: Domain | None = None
    port: Port | None = None
    guard: Annotated[bool, Field(strict=True)] | None = None
    allow_from: Annotated[tuple[Visitor, ...], Listed, Field(min_length=1)] | None = None
    public: Annotated[tuple[PublicPath, ...], Listed] = ()
    memory_mb: Megabytes | None = None
    cpus: Cores | None = None
    disk_gb: Gigabytes | None = None
    networks: Annotated[tuple[str, ...], Listed] | None = None
    environment: dict[Variable, Value] = {}
    health_seconds: Seconds | None = None


class OpenPort(_Settings):
    """More that the firewall lets in. port: one or a range, as nft writes it; empty for a protocol without. sources: from
    there alone (``from``).
    """

    protocol: Protocol = "tcp"
    port: Ports = None  # type: ignore[assignment]  # judged as any other value, with what the protocol says
    sources: Annotated[tuple[Peer, ...], Listed] = Field(default=(), alias="from")


class Mail(_Settings):
    """The server that takes the services' mails. sender: whom they are from (``from``). user: empty where it asks for no
    login; the password is in Vault.
    """

    host: MailHost
    port: Port | None = None
    user: Login = ""
    sender: Email = Field(alias="from")
    security: Literal["starttls", "tls", "none"] = "starttls"

    @property
    def at(self) -> int:
        """The port, the usual one where none is named."""
        return self.port or PORTS[self.security]


class Backup(_Settings):
    """Where backups go: a bucket of an S3 server. root: what its certificate is checked with, beside public authorities'."""

    endpoint: Endpoint
    bucket: Bucket
    region: Region = "us-east-1"
    root: Pem = ""

    @property
    def host(self) -> str:
        """The server's name."""
        return parts(self.endpoint)[0]

    @property
    def port(self) -> int:
        """Where it listens there."""
        return parts(self.endpoint)[1]


class Stack(_Settings):
    """All settings of one inventory. ``group_data/all.py`` says what each is for."""

    zone: Domain
    mirror_zones: Annotated[tuple[Domain, ...], Listed] = ()
    acme_email: Email | None = None
    mail: Mail | None = None
    notify: Notify | None = None
    backup: Backup | None = None
    acme_directory: Directory = ""
    acme_root: Pem = ""
    trusted_root: OptionalPath = ""
    services: Annotated[tuple[StrictStr, ...], Listed, Field(min_length=1)]
    networks: Annotated[tuple[Network, ...], Listed, Field(min_length=1)]
    network_pools: Pools = ("10.207.0.0/16", "172.28.0.0/16", "192.168.208.0/20")
    profile: Literal["minimum", "recommended", "production"] = "minimum"
    overrides: dict[str, Override] = {}
    forks: dict[str, Fork] = {}
    mcp_servers: Annotated[tuple[McpServer, ...], Listed, AfterValidator(distinct)] = ()
    vault_engine: Literal["vault", "openbao"] = "vault"
    vault_address: Address | None = None
    vault_mount: Mount = "secret"
    vault_shares: Annotated[int, Field(ge=1, le=255, strict=True)] = 5
    vault_threshold: Annotated[int, Field(ge=1, le=255, strict=True)] = 3
    unseal_at_boot: Annotated[bool, Field(strict=True)] = True
    state_dir: LocalPath = "~/.local/state/smarteros"
    takeover: Annotated[str, matching(re.compile(r"[A-Za-z0-9._/:-]*"), "names no container or image")] = ""
    adopt: Annotated[tuple[Adopted, ...], Listed] = ()
    docker_source: Literal["distribution", "docker.com"] = "distribution"
    wan_interfaces: Annotated[tuple[Interface, ...], Listed] = ()
    peers: Annotated[tuple[Peer, ...], Listed] = ()
    node_address: Node | None = None
    overlay_encryption: Annotated[bool, Field(strict=True)] = True
    open_ports: Annotated[tuple[OpenPort, ...], Listed] = ()
    guests: Annotated[tuple[Peer, ...], Listed] = ()
    login_users: Annotated[tuple[User, ...], Listed] = ()
    login_keys: LoginKeys = {}
    jump_to: Annotated[tuple[Target, ...], Listed] = ()
    second_factor: Annotated[bool, Field(strict=True)] = False
    strict_ssh: Annotated[bool, Field(strict=True)] = False
    revert_seconds: Annotated[int, Field(ge=20, le=100, strict=True)] = 90
    swap_gb: Annotated[int, Field(ge=0, le=64, strict=True)] | None = None
    timezone: TimeZone = "UTC"
    acknowledged: Annotated[int, Field(ge=0, strict=True)] = 0
    _pins: Mapping[str, str] | None = PrivateAttr(default=None)
    _proxies: tuple[str, ...] = PrivateAttr(default=())
    _apps: int = PrivateAttr(default=0)

    @property
    def pins(self) -> Mapping[str, str] | None:
        """Image by tag → the digest that is run, or another tag with it; None where nothing is pinned. No setting: the inventory's lock file
        (pins.py).
        """
        return self._pins

    def with_pins(self, pins: Mapping[str, str] | None) -> "Stack":
        """The same settings, with these."""
        found = self.model_copy()
        found._pins = pins  # noqa: SLF001  its own, of another one
        return found

    @property
    def proxies(self) -> tuple[str, ...]:
        """Addresses of all nodes that have a proxy; none of one host. No setting: the inventory's groups (connection/grouped.py)."""
        return self._proxies

    @property
    def apps(self) -> int:
        """How many nodes are there for what keeps nothing; 0 of one host. No setting, as above."""
        return self._apps

    def with_nodes(self, proxies: tuple[str, ...], apps: int = 0) -> "Stack":
        """The same settings, with these."""
        found = self.model_copy()
        found._proxies, found._apps = proxies, apps  # noqa: SLF001  its own, of another one
        return found

    @property
    def bridges(self) -> tuple[str, ...]:
        """All of Docker's networks that are ours: what copies files away has one of its own, where nobody else is, and so
        has what is restored beside what runs.
        """
        more = (*((LOCAL,) if self.proxies else ()), *((BACKUP_NET, DRILL_NET) if self.backup else ()))
        return (*self.networks, *more)

    def override(self, service: str) -> Override:
        """The overrides of one service, empty when the inventory has none."""
        return self.overrides.get(service, Override())

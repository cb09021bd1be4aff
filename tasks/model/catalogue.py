"""The catalogue's vocabulary: what a service's file says of it.

Only what other code reasons about is modelled; ``Container.extra`` passes anything else through to compose verbatim. Every service is one
file in ``tasks/services`` with ``describe(stack) -> Service``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.model.folder import Folder
from tasks.model.size import Size as Size  # noqa: PLC0414  a word of this vocabulary
from tasks.model.stack import Stack
from tasks.model.upstream import End as End  # noqa: PLC0414  words of this vocabulary
from tasks.model.upstream import Upstream as Upstream  # noqa: PLC0414
from tasks.model.visitor import Admin as Admin  # noqa: PLC0414  a word of this vocabulary, too
from tasks.model.visitor import Users
from tasks.model.volume import Files as Files  # noqa: PLC0414  a word of this vocabulary
from tasks.model.volume import Volume as Volume  # noqa: PLC0414  a word of this vocabulary

COMMON = CORE, TENANTS = "smarter-net", "tenants-net"

Phase = Literal["vault", "data", "services", "proxy", "backup"]
Rollout = Literal["rolling", "held"]
Role = Literal["proxies", "data", "apps", "monitoring"]


@dataclass(frozen=True)
class Secret:
    """One variable of the service's env file. ``kind`` says how a missing value comes to be.

    token: ``length`` random letters and digits; password: the same with every class of character that sign-up
    forms ask for; hex: ``length`` hexadecimal digits; bcrypt: the bcrypt hash of the secret named ``of``; given: never
    made, a person writes it into Vault, at ``of`` (path#name) where several services share it.
    lasting: what is lost when it changes, where that cannot be undone. signs: whether people's sessions end with it. initial: a run tells
    its program another one, and makes no container anew. least, asks: how many characters its program takes at least, and what of ``Aa1!``.
    """

    name: str
    kind: Literal["token", "password", "hex", "bcrypt", "given"] = "token"
    length: int = 40
    of: str = ""
    lasting: str = ""
    signs: bool = False
    least: int = 0
    asks: str = ""
    initial: bool = False


@dataclass(frozen=True)
class Database:
    """A database, and the role that owns it with the service's secret ``secret``. variable: tells a container its role (role.py)."""

    name: str
    secret: str
    extensions: tuple[str, ...] = ()
    create_databases: bool = False
    variable: str = ""


@dataclass(frozen=True)
class RedisUser:
    """A Redis user of the service's own (ACL); its password is the service's secret ``secret``."""

    name: str
    secret: str


@dataclass(frozen=True)
class Route:
    """``<subdomain>.<zone>`` → ``container:port``; mirrored into the secondary zones on request.

    loopback: the architecture's host port on 127.0.0.1. expect: HTTP statuses that count as working. paths: path → another
    port of the same container (Odoo's WebSockets). guard: only with a Vault token. allow_from: only from there (not on
    loopback). Both leave open what is ``public`` and not ``guarded``. languages: it answers below a language as well, so
    that each path of both stands for more than itself (public_paths.py). check: not among what is public.
    """

    subdomain: str
    container: str
    port: int
    loopback: int | None = None
    mirrored: bool = False
    guard: bool = False
    allow_from: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()
    languages: bool = False
    check: str = "/"
    expect: tuple[int, ...] = (200,)
    domain: str = ""
    paths: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Health:
    """The container's health check, run without a shell; ``seconds`` is how long a start may take."""

    test: tuple[str, ...]
    seconds: int = 60


@dataclass(frozen=True)
class Container:
    """One container. Policy (capabilities, logs, restart, limits) is the template's; what it is let off is declared
    here, each exception with its reason: cap_add, binds, ports (what → why), folders, root, writable, executable (why).

    files: folder of rendered files (``templates/<folder>``) → path in the container, read-only. env_file: whether it gets the
    service's secrets. job: runs once and must exit 0.
    build: folder under ``files/`` that its image is built from, on top of the image ``base`` where one is named; arguments: what else of
    its Dockerfile's is given (pins.py); fork: the Dockerfile in its fork (forks.py). joins: the container in whose network it is, in place of any of its own.
    shared: networks that it is taken into once it is healthy, and not before (load.py). restart: Docker's policy, of what is no job. reloads: changed files are reloaded, without a new container. root: why it runs as root, else ``user`` says as whom. writable: why its root file system is. executable: why it loads code from /tmp. swaps: not where its memory holds secrets. architectures: those that
    its image exists for, in Docker's words; empty where it exists for all that hosts have. alone: it starts with its database
    and its volumes, and asks nobody else, so that a drill can start it on copies of both. Of one that visitors reach, either twice says why a second one may run beside it for a moment (it rolls), or once why not (its visitors are held while it is replaced).
    """

    name: str
    image: str
    health: Health
    size: Size
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    env_file: bool = False
    volumes: tuple[Volume, ...] = ()
    binds: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[Folder, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = (CORE,)
    shared: tuple[str, ...] = ()
    restart: str = "unless-stopped"
    ports: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    root: str = ""
    cap_add: Mapping[str, str] = field(default_factory=dict)
    writable: str = ""
    executable: str = ""
    swaps: bool = True
    tmpfs: tuple[str, ...] = ("/tmp",)
    stop_seconds: int = 10
    stop_signal: str = ""
    job: bool = False
    build: str = ""
    base: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    fork: str = ""
    joins: str = ""
    reloads: bool = False
    twice: str = ""
    once: str = ""
    replicas: int = 1
    architectures: tuple[str, ...] = ()
    alone: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> tuple[Volume | Folder, ...]:
        """All that lasts longer than the container."""
        return (*self.volumes, *self.folders)


@dataclass(frozen=True)
class Metrics:
    """Where Prometheus scrapes the service."""

    container: str
    port: int
    path: str = "/metrics"


@dataclass(frozen=True)
class Service:
    """All that is particular to one service.

    policy: what its AppRole may in Vault beside reading its own secrets. composed: variables of the env file made of secrets at each rendering, ``{NAME}`` replaced, URL-quoted.
    mails: what its users miss without the setting ``mail``; empty where that changes nothing.
    users: what its users do, for ``make check``. proof: that its files are those that its database's rows name.
    upstream: whose programs its images have, for ``make outdated``. nodes: how many may have its tasks, 0 where Compose runs it (spread.py).
    """

    name: str
    title: str
    containers: tuple[Container, ...]
    phase: Phase = "services"
    role: Role = "apps"
    needs: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    secrets: tuple[Secret, ...] = ()
    policy: str = ""
    databases: tuple[Database, ...] = ()
    redis: RedisUser | None = None
    composed: Mapping[str, str] = field(default_factory=dict)
    admin: Admin | None = None
    metrics: tuple[Metrics, ...] = ()
    mails: str = ""
    users: Users | None = None
    proof: Files | None = None
    upstream: tuple[Upstream, ...] = ()
    nodes: int = 0

    @property
    def main(self) -> Container:
        """The container that overrides are about and that stands for the service: the first that is no job."""
        return next((item for item in self.containers if not item.job), self.containers[0])

    @property
    def rollout(self) -> Rollout:
        """Rolling where a second one of each container that visitors reach may run beside it."""
        routed = {route.container for route in self.routes}
        found = [item for item in self.containers if item.name in routed]
        return "rolling" if found and all(item.twice for item in found) else "held"


Describe = Callable[[Stack], Service]


def domains(stack: Stack, route: Route) -> tuple[str, ...]:
    """The names a route answers under: its own, then its mirrors in the secondary zones."""
    mirrors = tuple(f"{route.subdomain}.{zone}" for zone in stack.mirror_zones) if route.mirrored else ()
    return (route.domain or f"{route.subdomain}.{stack.zone}", *mirrors)

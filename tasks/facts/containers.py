"""Containers of ours, as DockerFact reads them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

from tasks.rendering.render import DIGEST_LABEL, SECRETS_VARIABLE, SERVICE_LABEL


@dataclass(frozen=True)
class Limits:
    """What ``docker update`` changes of a container: its restart policy, MB of memory, cores and processes; 0 for no limit."""

    restart: str
    memory_mb: int
    cpus: float
    processes: int


@dataclass(frozen=True)
class ContainerState:
    """One container of ours as Docker sees it. ``health`` is empty while there is no check."""

    name: str
    service: str
    digest: str
    secrets_digest: str
    status: str
    health: str
    exit_code: int
    image: str
    networks: tuple[str, ...]
    # Rendered files as a running container sees them: path in it → SHA-256.
    files: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    limits: Limits | None = None


def containers(rows: list[list[str]]) -> dict[str, ContainerState]:
    """From lines ``c|…``, ``p|…``, ``l|…``, ``m|…`` and ``s|…``, cut at each ``|``. Raises ValueError, IndexError."""
    seen = dict(row[1].split("  ", 1)[::-1] for row in rows if row[0] == "s")
    mounts = [row[1:] for row in rows if row[0] == "m"]
    addresses = {row[1]: row[2] for row in reversed(rows) if row[0] == "p" and _is_address(row[2])}
    limits = {row[1]: _limits(*row[2:]) for row in rows if row[0] == "l"}
    found = [
        _container(row[1:], _files(row[1], mounts, seen), addresses.get(row[1], ""), limits.get(row[1]))
        for row in rows
        if row[0] == "c"
    ]
    return {item.name: item for item in found}


def _files(container: str, mounts: list[list[str]], seen: Mapping[str, str]) -> dict[str, str]:
    """mounts: name, /proc/<pid>/root, path in the container, source. seen: path below /proc → SHA-256."""
    return {
        found.removeprefix(root): sha256
        for name, root, path, _ in mounts
        if name == container
        for found, sha256 in seen.items()
        if found.startswith(f"{root}{path}/")
    }


def _is_address(text: str) -> bool:
    """What some versions of Docker print for a container without one is none: a password goes there."""
    with suppress(ValueError):
        return bool(ip_address(text))
    return False


def _limits(restart: str, memory: str, cpus: str, processes: str) -> Limits:
    """memory: bytes. cpus: billionths. A limit that there is none of may be absent, or below 0."""
    count = int(processes) if processes.lstrip("-").isdecimal() else 0
    return Limits(restart, int(memory) >> 20, round(int(cpus) / 1e9, 2), max(count, 0))


def _container(
    row: list[str], files: Mapping[str, str], address: str, limits: Limits | None
) -> ContainerState:
    name, service, digest, secrets, status, health, code, image, networks = row
    return ContainerState(
        name.removeprefix("/"),
        service,
        digest,
        secrets,
        status,
        health,
        int(code),
        image,
        tuple(sorted(networks.split())),
        files,
        address,
        limits,
    )


_FIELDS = "|".join(
    (
        "c",
        "{{.Name}}",
        f'{{{{index .Config.Labels "{SERVICE_LABEL}"}}}}',
        f'{{{{index .Config.Labels "{DIGEST_LABEL}"}}}}',
        (
            f'{{{{range .Config.Env}}}}{{{{$p := split . "="}}}}{{{{if eq (index $p 0) "{SECRETS_VARIABLE}"}}}}'
            "{{index $p 1}}{{end}}{{end}}"
        ),
        "{{.State.Status}}",
        "{{if .State.Health}}{{.State.Health.Status}}{{end}}",
        "{{.State.ExitCode}}",
        "{{.Config.Image}}",
        "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}",
    )
)
_LIMITS = "{{println}}l|{{.Name}}|{{with .HostConfig}}{{.RestartPolicy.Name}}|{{.Memory}}|{{.NanoCPUs}}|{{.PidsLimit}}{{end}}"
_ADDRESSES = "{{$c := .}}{{range .NetworkSettings.Networks}}{{println}}p|{{$c.Name}}|{{.IPAddress}}{{end}}"
_MOUNTS = (
    '{{range .Mounts}}{{if and $c.State.Pid (eq .Type "bind")}}'
    '{{println}}{{printf "m|%s|/proc/%d/root|%s|%s" $c.Name $c.State.Pid .Destination .Source}}'
    "{{end}}{{end}}"
)
# For docker inspect: a container's line, then those for its limits, for where it listens and for what of the host it has mounted.
FORMAT = f"{_FIELDS}{_LIMITS}{_ADDRESSES}{_MOUNTS}"

"""Docker bench: the CIS Docker checks that a host can be asked, of the live daemon and of every container on it.

What a container is let off has its reason in its service's file (``Container.cap_add``, ``root``, …), what is left
open for all in docker_bench.toml. Anything else is a finding.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.model import policy
from tasks.model.catalogue import Container
from tasks.services import load
from tests.audit import Target, Verdict, reasons
from tests.lab import smarteros

MOST_FILES = 16384
# Linux numbers its capabilities; those that entrypoints and servers ask for.
_BITS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "SETGID": 6,
    "SETUID": 7,
    "NET_BIND_SERVICE": 10,
    "IPC_LOCK": 14,
}
_SOCKET = "/var/run/docker.sock"
# Mode and owner at most.
_FILES = {
    "/etc/docker": "755 root:root",
    "/etc/docker/daemon.json": "644 root:root",
    "/usr/lib/systemd/system/docker.service": "644 root:root",
    "/usr/lib/systemd/system/docker.socket": "644 root:root",
    "/run/docker.sock": "660 root:docker",
    "/run/containerd/containerd.sock": "660 root:root",
}


@dataclass(frozen=True)
class Seen:
    """What the host says: `docker info`, the default network, dockerd's own command line, modes, group, containers.

    kernel: container → /proc/<pid>/status and limits of its first process, as key → value.
    """

    info: Mapping[str, Any] = field(default_factory=dict)
    bridge: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    proxies: int = 0
    members: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    containers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kernel: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def check(target: Target) -> list[Verdict]:
    """Looks at the host; the raw report says what was seen, each container without its secrets."""
    seen = look(target)
    declared = {item.name: item for service in load(smarteros.settings()) for item in service.containers}
    target.keep("docker-info.json", json.dumps(seen.info, indent=1))
    target.keep("docker-inspect.json", json.dumps(seen.containers, indent=1))
    found = list(findings(seen, declared))
    let_off = [
        f"{name}: {what}: {why}"
        for name, item in declared.items()
        for what, why in policy.exceptions(item).items()
    ]
    target.keep("docker-bench.txt", "\n".join([*found, "", "Let off, with reasons:", *let_off, ""]))
    wrong = reasons("docker_bench").against(found)
    figure = f"{len(seen.containers)} containers, {len(wrong)} findings without a reason"
    return [Verdict("Docker bench", passed=not wrong, figure=figure, details=wrong)]


def look(target: Target) -> Seen:
    """Everything that the checks are about."""

    def run(command: str) -> str:
        return str(target.host.run(command, check=False).stdout)

    containers = {item["Name"].removeprefix("/"): item for item in json.loads(run(_INSPECT))}
    for item in containers.values():
        item["Config"]["Env"] = []  # secrets: they are nobody's to keep
    return Seen(
        info=json.loads(run("docker info --format '{{json .}}'")),
        bridge=json.loads(run("docker network inspect --format '{{json .Options}}' bridge")),
        command=run("tr '\\0' ' ' </proc/$(pidof dockerd)/cmdline"),
        proxies=int(run("pgrep -xc docker-proxy") or 0),
        members=run("getent group docker | cut -d: -f4").strip(),
        files=dict(line.split(" ", 1) for line in run(_MODES).splitlines()),
        containers=containers,
        kernel={
            name: _status(run(_STATUS.format(pid=item["State"]["Pid"])))
            for name, item in containers.items()
            if item["State"]["Pid"]
        },
    )


_INSPECT = "docker inspect $(docker ps -aq)"
_MODES = f"stat -c '%n %a %U:%G' {' '.join(_FILES)} 2>/dev/null"
# Below init, which Docker puts before the program; the number of files is the same for both.
_STATUS = (
    "for pid in $(cat /proc/{pid}/task/{pid}/children) {pid}; do"
    " cat /proc/$pid/status; sed -n 's/^Max open files *[0-9]* *\\([0-9]*\\).*/Files:\\t\\1/p' /proc/$pid/limits;"
    " exit; done"
)


def _status(text: str) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def findings(seen: Seen, declared: Mapping[str, Container]) -> Iterator[str]:
    """Each thing that is not as the checks want it, ``number what`` or ``number what: container``. Pure."""
    yield from _daemon(seen)
    yield from _access(seen)
    if any(
        item["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped" for item in seen.containers.values()
    ):
        yield "5.14 restarts are not limited to five"
    for name, found in sorted(seen.containers.items()):
        ours = declared.get(name)
        lines = _container(found, seen.kernel.get(name, {}), ours) if ours else ["not declared"]
        yield from (f"{line}: {name}" for line in lines)
    # A job that has ended may have been cleared away.
    needed = {name for name, ours in declared.items() if not ours.job}
    for name in sorted(needed - set(seen.containers)):
        yield f"declared and not there: {name}"


def _daemon(seen: Seen) -> Iterator[str]:
    """Section 2 and 7, asked of what runs, not of daemon.json."""
    info = seen.info
    security = {part for option in info.get("SecurityOptions") or () for part in option.split(",")}
    registries = info.get("RegistryConfig") or {}
    wanted = {
        "2.1 the daemon runs as root": "name=rootless" in security,
        "2.2 containers of the default network reach each other": seen.bridge.get(
            "com.docker.network.bridge.enable_icc"
        )
        == "false",
        "2.3 the daemon logs for debugging": not info.get("Debug"),
        "2.4 the daemon makes no firewall rules": "--iptables=false" not in seen.command,
        "2.5 a registry without TLS": set(registries.get("InsecureRegistryCIDRs") or ())
        <= {"127.0.0.0/8", "::1/128"}
        and all(item.get("Secure") for item in (registries.get("IndexConfigs") or {}).values()),
        "2.6 the storage driver is aufs": info.get("Driver") != "aufs",
        "2.7 the API listens on TCP": "tcp://" not in seen.command,
        "2.9 root in a container is root": "name=userns" in security,
        "2.12 who may use the API is not decided for each request": bool(
            (info.get("Plugins") or {}).get("Authorization")
        ),
        "2.13 logs stay on the host": info.get("LoggingDriver") not in ("json-file", "local"),
        "2.14 a new privilege can be gained": "name=no-new-privileges" in security,
        "2.15 containers stop with the daemon": bool(info.get("LiveRestoreEnabled")),
        "2.16 published ports go through a process": not seen.proxies,
        "2.17 no seccomp profile": bool({"profile=builtin", "profile=default"} & security),
        "2.18 experimental features": not info.get("ExperimentalBuild"),
        "5.1 no AppArmor on this host": "name=apparmor" in security,
        "7.1 a swarm without need": (info.get("Swarm") or {}).get("LocalNodeState") == "inactive",
    }
    yield from (what for what, right in wanted.items() if not right)


def _access(seen: Seen) -> Iterator[str]:
    """Section 1 and 3: who gets at the daemon."""
    if seen.members:
        yield f"1.1 in the group docker, which is as good as root: {seen.members}"
    for path, most in _FILES.items():
        found = seen.files.get(path, "")
        if found and not _at_most(found, most):
            yield f"3 {path} is {found}"


def _at_most(found: str, most: str) -> bool:
    (mode, owner), (most_mode, most_owner) = found.split(), most.split()
    return owner == most_owner and not int(mode, 8) & ~int(most_mode, 8)


def _container(found: Mapping[str, Any], kernel: Mapping[str, str], ours: Container) -> Iterator[str]:
    """Section 4 and 5, where what the service's file lets it off is no finding."""
    host = found["HostConfig"]
    yield from (what for what, right in _limits(found).items() if not right)
    yield from (what for what, right in _confinement(host).items() if not right)
    user = str(found["Config"]["User"] or "root").partition(":")[0]
    if user in ("root", "0") and not ours.root:
        yield "4.1 runs as root"
    added = {name.removeprefix("CAP_") for name in host["CapAdd"] or ()}
    if added != set(ours.cap_add):
        yield f"5.3 capabilities {', '.join(sorted(added)) or 'none'}"
    if not host["ReadonlyRootfs"] and not ours.writable:
        yield "5.12 its root file system is writable"
    yield from _from_the_host(found, ours)
    if found["State"]["Running"]:
        yield from (what for what, right in _seen_by_the_kernel(kernel, ours).items() if not right)


def _limits(found: Mapping[str, Any]) -> dict[str, bool]:
    host = found["HostConfig"]
    return {
        "4.6 no health check": bool(found["Config"].get("Healthcheck"))
        or host["RestartPolicy"]["Name"] == "no",
        "5.10 no limit of memory": host["Memory"] > 0,
        "5.11 no limit of CPU": host["NanoCpus"] > 0,
        "5.27 no version of its image": not found["Config"]["Image"].endswith(":latest")
        and ":" in found["Config"]["Image"],
        "5.28 no limit of processes": 0 < (host["PidsLimit"] or 0) <= 4096,
        "2.13 its log can fill the disk": host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"},
    }


def _confinement(host: Mapping[str, Any]) -> dict[str, bool]:
    options = host["SecurityOpt"] or []
    return {
        "5.3 not every capability is dropped": host["CapDrop"] == ["ALL"],
        "5.4 privileged": not host["Privileged"],
        "5.9 in the host's network": host["NetworkMode"] not in ("host", "bridge", "default"),
        "5.15 sees the host's processes": host["PidMode"] == "",
        "5.16 shares memory with the host": host["IpcMode"] in ("private", "none"),
        "5.17 has devices of the host": not host["Devices"] and not host["DeviceCgroupRules"],
        "5.20 sets the host's name": host["UTSMode"] == "",
        "5.21 without seccomp": not [item for item in options if item.startswith("seccomp")],
        "5.24 in a cgroup of its own choice": host["CgroupParent"] == "",
        "5.25 gains privileges": "no-new-privileges:true" in options,
        "5.30 is its own root on the host": host["UsernsMode"] == "",
    }


def _from_the_host(found: Mapping[str, Any], ours: Container) -> Iterator[str]:
    """Folders and ports; our rendered files, which it may only read, are none of them."""
    declared = {bind.split(":")[0] for bind in ours.binds} | {folder.path for folder in ours.folders}
    for mount in found["Mounts"]:
        source = mount["Source"]
        rendered = source.startswith("/opt/smarteros/") and not mount["RW"]
        if mount["Type"] == "bind" and source not in declared and not rendered:
            yield f"{'5.31' if source == _SOCKET else '5.5'} mounts {source}"
        if mount.get("Propagation") not in (None, "", "rprivate"):
            yield f"5.19 shares its mounts below {mount['Destination']}"
    for port, places in (found["HostConfig"]["PortBindings"] or {}).items():
        number, _, protocol = port.partition("/")
        for place in places or ():
            named = ":".join(filter(None, (place["HostIp"], place["HostPort"], number)))
            if f"{named}{'/udp' if protocol == 'udp' else ''}" not in ours.ports:
                yield f"5.8 publishes {named}/{protocol}"


def _seen_by_the_kernel(kernel: Mapping[str, str], ours: Container) -> dict[str, bool]:
    """Whatever Docker was told, this is what the program may do."""
    allowed = sum(1 << _BITS[name] for name in ours.cap_add)
    return {
        "5.3 the kernel allows it more": int(kernel.get("CapBnd", "f"), 16) == allowed,
        "5.18 has more open files": 0 < int(kernel.get("Files", "0")) <= MOST_FILES,
        "5.21 its system calls are not filtered": kernel.get("Seccomp") == "2",
        "5.25 the kernel lets it gain privileges": kernel.get("NoNewPrivs") == "1",
        "4.1 is root for the kernel": bool(ours.root) or not kernel.get("Uid", "0").startswith("0"),
    }

"""Engine: which Docker a host had before ours, asked within SurveyFact: packages, programs, unit, swarm, containers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.rendering.render import SERVICE_LABEL

# Every package that brings an engine, a client, their plugins or what an engine stands on.
PACKAGES = (
    "docker.io", "docker-ce", "moby-engine", "podman-docker",
    "docker-cli", "docker-ce-cli", "moby-cli",
    "docker-compose", "docker-compose-v2", "docker-compose-plugin", "moby-compose",
    "docker-buildx", "docker-buildx-plugin", "moby-buildx",
    "containerd", "containerd.io", "moby-containerd", "runc", "moby-runc",
)  # fmt: skip


@dataclass(frozen=True)
class Other:
    """A container that runs and is not ours. policy: its restart policy. temporary: started with --rm."""

    name: str
    policy: str
    temporary: bool


@dataclass(frozen=True)
class Engine:
    """What there is of Docker.

    packages: name → version, those installed of PACKAGES. programs: docker and dockerd → (file, package that has it).
    rootless: users with an engine of their own. agents: units of other orchestrators that run. unit: what systemd says
    of docker.service. flags: what dockerd is started with. words: what a dockerd that failed said last.
    root, driver, images: where and by what it stores now, ``containerd`` for images where that does. reload: systemd has not loaded
    what the unit's files say. swarm: its state, empty where it is none.
    """

    packages: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    snap: str = ""
    rootless: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    unit: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    words: str = ""
    root: str = ""
    driver: str = ""
    images: str = ""
    reload: bool = False
    live_restore: bool = False
    swarm: str = ""
    swarm_services: tuple[str, ...] = ()
    others: tuple[Other, ...] = ()


_INFO = (
    "info {{.LiveRestoreEnabled}}|{{.Swarm.LocalNodeState}}|{{.Swarm.ControlAvailable}}|{{.DockerRootDir}}|"
    "{{range .DriverStatus}}{{range .}}{{if eq . `io.containerd.snapshotter.v1`}}containerd{{end}}{{end}}{{end}}\n"
    "driver {{.Driver}}"
)
_OTHER = (
    f'{{{{if not (index .Config.Labels "{SERVICE_LABEL}")}}}}other {{{{.HostConfig.RestartPolicy.Name}}}}|'
    "{{.HostConfig.AutoRemove}}|{{slice .Name 1}}{{end}}"
)

# The flags stand in the unit or its drop-ins, and the words that begin with $ in the files that these name.
QUESTION = f"""
dpkg-query -W -f '${{db:Status-Status}} ${{Package}} ${{Version}}\\n' {" ".join(PACKAGES)} 2>/dev/null |
    sed -un 's/^installed /package /p'
for name in docker dockerd; do
    file=$(command -v $name) || continue
    owner=$(dpkg -S "$file" 2>/dev/null || dpkg -S "$(readlink -f "$file")" 2>/dev/null) || owner=
    echo "program $name $file $(printf '%s\\n' "$owner" | sed -n '1s/[:,].*//p')"
done
[ -L /snap/docker/current ] && echo "snap $(readlink /snap/docker/current)"
for socket in /run/user/*/docker.sock; do
    [ -S "$socket" ] && user=${{socket#/run/user/}} && echo "rootless $(id -nu "${{user%%/*}}" 2>/dev/null)"
done
systemctl list-units --plain --no-legend --state=active k3s.service k3s-agent.service rke2-server.service \\
    rke2-agent.service kubelet.service snap.microk8s.daemon-kubelite.service nomad.service 2>/dev/null |
    sed -un 's/^\\([^ ]*\\) .*/agent \\1/p'
systemctl show docker.service -p ActiveState -p NeedDaemonReload 2>/dev/null | sed -u 's/^/unit /'
files=$(systemctl show docker.service -p EnvironmentFiles --value 2>/dev/null | sed 's/ (.*//')
set -f
for word in $(systemctl show docker.service -p ExecStart --value 2>/dev/null |
    sed -n 's/.* argv\\[\\]=[^ ]* \\(.*\\) ; ignore_errors=.*/\\1/p'); do
    case $word in
    \\$*) sed -n "s/^ *$(printf %s "$word" | tr -d '${{}}')=//p" $files 2>/dev/null | tail -n 1 | tr -d "\\"'" | tr ' ' '\\n' |
        sed -un 's/^-/flag -/p' ;;
    *) echo "flag $word" ;;
    esac
done
set +f
systemctl is-failed --quiet docker.service 2>/dev/null && echo "words $(
    journalctl -u docker.service -n 100 -o cat 2>/dev/null | grep -E 'failed to|unable to|invalid' | tail -n 1)"
if command -v docker >/dev/null; then
    docker info --format '{_INFO}' 2>/dev/null
    docker service ls --format 'swarm_service {{{{.Name}}}}' 2>/dev/null
    docker ps -q --no-trunc 2>/dev/null | xargs -r docker inspect --type container --format '{_OTHER}' 2>/dev/null | grep .
fi
""".strip()


def engine(values: Mapping[str, Sequence[str]]) -> Engine:
    """What SurveyFact's lines say of it: key → values. Raises ValueError for lines that no host prints."""
    live, state, manages, rest = (values.get("info") or ["||||"])[0].split("|", 3)
    root, _, images = rest.rpartition("|")
    unit = dict(line.split("=", 1) for line in values.get("unit", ()))
    return Engine(
        packages=dict(_pair(line) for line in values.get("package", ())),
        programs={name: _pair(rest) for name, rest in map(_pair, values.get("program", ()))},
        snap=(values.get("snap") or [""])[0],
        rootless=tuple(values.get("rootless", ())),
        agents=tuple(values.get("agent", ())),
        unit=unit,
        flags=tuple(values.get("flag", ())),
        words=(values.get("words") or [""])[0],
        root=root,
        driver=(values.get("driver") or [""])[0],
        images=images[:10],
        reload=unit.get("NeedDaemonReload") == "yes",
        live_restore=live == "true",
        swarm="" if state in ("", "inactive") else ("manager" if manages == "true" else state),
        swarm_services=tuple(values.get("swarm_service", ())),
        others=tuple(map(_other, values.get("other", ()))),
    )


def _pair(line: str) -> tuple[str, str]:
    name, _, rest = line.partition(" ")
    return name, rest


def _other(line: str) -> Other:
    policy, temporary, name = line.split("|", 2)
    return Other(name, policy or "no", temporary == "true")

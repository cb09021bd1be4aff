"""Docker: our containers, the networks, the images present, the env files' digests."""

from dataclasses import dataclass, field
from shlex import quote

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import bridges, containers, objects, rules
from tasks.facts.bridges import NetworkState
from tasks.facts.containers import ContainerState
from tasks.facts.objects import Other, VolumeState
from tasks.rendering.render import CURRENT, ROOT, SECRETS, SECRETS_VARIABLE, SERVICE_LABEL


@dataclass(frozen=True)
class DockerState:
    """Containers of ours by name, networks by name, images present, the digests of the env files; containers that are
    not ours, volumes by name, those that a container of ours uses, and what was adopted (kind:name).

    local: images that no registry has given by that name; digests: of those that one has. bases: image of ours → what it was built on
    top of, by the generations that are there. rules: ``nat br-0123456789ab`` and ``forward …`` for each bridge whose traffic the host's firewall lets out as
    Docker writes it; None where nothing can be asked.
    """

    containers: dict[str, ContainerState] = field(default_factory=dict)
    networks: dict[str, NetworkState] = field(default_factory=dict)
    images: frozenset[str] = frozenset()
    env_digests: dict[str, str] = field(default_factory=dict)
    rules: frozenset[str] | None = None
    others: tuple[Other, ...] = ()
    volumes: dict[str, VolumeState] = field(default_factory=dict)
    used: frozenset[str] = frozenset()
    adopted: frozenset[str] = frozenset()
    local: frozenset[str] = frozenset()
    digests: dict[str, str] = field(default_factory=dict)
    noted: frozenset[str] = frozenset()
    bases: dict[str, str] = field(default_factory=dict)


class DockerFact(FactBase[DockerState]):
    """DockerState; empty where Docker is absent. One that does not answer is no empty one."""

    def command(self) -> str:
        """Prints ``c|…`` lines for containers, ``n|…`` networks, ``i|…`` images, ``e|…`` env files, ``r|…`` rules; ``m|…`` for
        what of the host is mounted into containers, ``s|…`` for the files of ours that are seen there, and for
        a mount that is no longer what is on the host (``path/``); ``x|…`` for containers that are not ours, ``v|…`` for
        volumes, ``u|…`` for those that ours use, ``p|…`` for where ours listen, ``l|…`` for their limits, ``a|…`` for what was adopted,
        ``g|…`` for volumes that the last deploy has left, ``b|…`` for what images of ours are built on.
        """
        return _DOCKER

    @staticmethod
    def default() -> DockerState:
        """No Docker."""
        return DockerState()

    def process(self, output: list[str]) -> DockerState:
        """Lines → DockerState. Raises FactProcessError for a line that is cut or of an unknown kind."""
        rows = [line.split("|") for line in output if line]
        if strange := [row[0] for row in rows if row[0] not in _KINDS]:
            raise FactProcessError(f"cannot read what docker prints: {strange[0]!r} begins no line of it")
        try:
            ours = containers.containers(rows)
            networks = [bridges.network(row[1:]) for row in rows if row[0] == "n"]
            images = frozenset(
                name for row in rows if row[0] == "i" for name in _names(row[1], row[2], row[3])
            )
            local = frozenset(f"{row[1]}:{row[2]}" for row in rows if row[0] == "i" and row[3] == "<none>")
            envs = {row[1]: row[2] for row in rows if row[0] == "e"}
            built = {row[1]: row[2] for row in rows if row[0] == "b"}
            written = [row[1] for row in rows if row[0] == "r"]
            others = objects.others(line[2:] for line in output if line.startswith("x|"))
            volumes = objects.volumes(line[2:] for line in output if line.startswith("v|"))
            used, adopted, noted = (frozenset(row[1] for row in rows if row[0] == kind) for kind in "uag")
        except (ValueError, IndexError, KeyError, TypeError, RecursionError) as error:
            raise FactProcessError(f"cannot read what docker prints: {error}") from None
        return DockerState(
            ours,
            {item.name: item for item in networks},
            images,
            envs,
            frozenset(filter(None, written)) if written else None,
            others,
            volumes,
            used,
            adopted,
            local,
            {f"{row[1]}:{row[2]}": row[3] for row in rows if row[0] == "i" and "<none>" not in row},
            noted,
            built,
        )


_KINDS = frozenset("cniemrsxvuaplgb")


def _names(repository: str, tag: str, digest: str) -> set[str]:
    """What an image may be asked for by: one that came by its digest has no tag."""
    return {f"{repository}:{tag}", f"{repository}@{digest}"}


# What is said when the daemon is down, or does not answer in time.
SILENT = quote("Docker does not answer, `systemctl status docker` on the host says why")
_INSPECT = (
    f'{{{{if index .Config.Labels "{SERVICE_LABEL}"}}}}{objects.ALONE}{containers.FORMAT}{objects.USED_FORMAT}{{{{end}}}}'
    f"{{{{else}}}}{objects.OTHER_FORMAT}{{{{end}}}}"
)

# Of a compose file: the line of an image, and the one that says what it is built on.
_BASE = (
    r'/^    image: "/h; /^      args: {BASE: "/{G; s/^[^"]*"\([^"]*\)".*\n    image: "\([^"]*\)"$/b|\2|\1/p;}'
)

_DOCKER = f"""
command -v docker >/dev/null || exit 0
# On a host of ours one that is stopped is started before anything else is done (tasks/preflight.py).
{{ [ ! -e {CURRENT} ] && [ ! -L {CURRENT} ]; }} || systemctl is-active --quiet docker.service docker.socket || exit 0
{rules.QUESTION}
# One that goes away in between is no failure.
containers() {{
    ids=$(docker ps -aq) || return
    [ -z "$ids" ] || docker inspect --type container --format {quote(_INSPECT)} $ids || docker ps -q >/dev/null
}}
{{
    found=$(containers) || fail {SILENT}
    printf '%s\\n' "$found"
    printf '%s\\n' "$found" | {{
        set --
        while IFS='|' read -r kind name root path source; do
            case $kind:$source in
            m:{CURRENT}/*) set -- "$@" "$root$path" ;;
            m:*) [ "$source" -ef "$root$path" ] || echo "-  $root$path/" ;;
            esac
        done
        [ $# = 0 ] || find "$@" -type f -exec sha256sum {{}} + 2>/dev/null
    }} | sed 's/^/s|/'
}} &
networks() {{
    ids=$(docker network ls -q) || return
    docker network inspect --format {quote(bridges.FORMAT)} $ids || docker network ls -q >/dev/null
}}
networks || fail {SILENT} &
docker volume ls --format {quote(objects.volume_format(SERVICE_LABEL))} || fail {SILENT} &
# Of those that came by their digest alone Docker 29 lists no more than that they are there.
images() {{
    rows=$(docker image ls --all --digests --no-trunc --format 'i|{{{{.Repository}}}}|{{{{.Tag}}}}|{{{{.Digest}}}}|{{{{.ID}}}}') || return
    printf '%s\\n' "$rows" | sed -u 's/|[^|]*$//'
    set -- $(printf '%s\\n' "$rows" | sed -n 's/^i|<none>|<none>|<none>|//p' | sort -u)
    [ $# = 0 ] || docker image inspect --format '{{{{range .RepoDigests}}}}{{{{println .}}}}{{{{end}}}}' "$@" 2>/dev/null |
        sed -un 's/^\\(.*\\)@\\(sha256:.*\\)$/i|\\1|<none>|\\2/p'
}}
images || fail {SILENT} &
sed -u 's/^/a|/' {objects.ADOPTED} 2>/dev/null
sed -u 's/^/g|/' {objects.NOTED} 2>/dev/null
cat {ROOT}/generations/*/dkcompose/*-deploy.yaml 2>/dev/null | sed -n '{_BASE}' | sort -u
for file in {SECRETS}/*.env; do [ -e "$file" ] && file=${{file##*/}} && echo "e|${{file%.env}}|"; done
grep -sH '^{SECRETS_VARIABLE}="' /dev/null {SECRETS}/*.env |
    sed -un 's/^[^:]*\\/\\([^:]*\\)\\.env:{SECRETS_VARIABLE}="\\(.*\\)"$/e|\\1|\\2/p'
wait
true
""".strip()

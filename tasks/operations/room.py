"""Room: a container that is not ours makes room for one of ours, and is put back when ours does not come up.

What there was is remembered in /var/lib/smarteros/aside/<service>, a line ``id|name|restart policy|running`` for each, before
anything is touched, until ours is healthy: a run that goes on after a kill puts back, too.
"""

from collections.abc import Iterator, Mapping
from shlex import quote

from tasks.model.catalogue import Service
from tasks.rendering.render import SERVICE_LABEL

# Of docker inspect: what brings a container back to what it was.
LINE = (
    '{{.Id}}|{{slice .Name 1}}|{{or .HostConfig.RestartPolicy.Name "no"}}'
    '{{if eq .HostConfig.RestartPolicy.Name "on-failure"}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}{{end}}'
    "|{{.State.Running}}"
)


def functions(service: Service) -> str:
    """The functions ``room NAME LATER``, ``put_back`` and ``settled``."""
    return (
        _FUNCTIONS.replace("@aside", f"/var/lib/smarteros/aside/{service.name}")
        .replace("@line", LINE)
        .replace("@label", SERVICE_LABEL)
    )


def made(moved: Mapping[str, str]) -> Iterator[str]:
    """A line of shell for each container."""
    yield from (f"room {quote(name)} {quote(later)}" for name, later in moved.items())


_FUNCTIONS = """
aside=@aside
room() {
    id=$(docker inspect --type container --format '{{.Id}}' "$1")
    umask 077 && mkdir -p "${aside%/*}"
    grep -qs "^$id|" "$aside" || docker inspect --type container --format '@line' "$id" >>"$aside"
    sync "$aside"
    docker update --restart=no "$id" >/dev/null
    docker stop "$id" >/dev/null
    docker rename "$id" "$2"
}
put_back() {
    [ -e "$aside" ] || return 0
    while IFS='|' read -r id name policy running <&3; do
        ours=$(docker inspect --type container --format '{{index .Config.Labels "@label"}}' "$name" 2>/dev/null) || ours=
        [ -z "$ours" ] || docker rm --force "$name" >/dev/null
        docker rename "$id" "$name" 2>/dev/null || true
        docker update --restart="$policy" "$id" >/dev/null || continue
        [ "$running" != true ] || docker start "$id" >/dev/null || continue
        echo "put back: $name" >&2
    done 3<"$aside"
    rm -f "$aside"
}
settled() { rm -f "$aside"; }
""".strip()

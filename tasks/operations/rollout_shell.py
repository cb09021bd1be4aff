"""Rollout's shell: the functions that bring a compose file up, hidden from the proxy until all is healthy."""

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote

from tasks.model.catalogue import CORE, Service
from tasks.model.objects import replacement
from tasks.model.stack import LOCAL
from tasks.rendering import docker_calls, psql, render

# A container that has ended so often does not come to life by waiting.
_RESTARTS = 5
# Of the last minute, in percent, that all of a container has stood still for want of memory.
_PRESSED = 10
_CGROUPS = "/sys/fs/cgroup"

UP = "up -d --no-build --quiet-pull"


def functions(service: Service, host_name: str, hidden: Iterable[str]) -> Iterator[str]:
    """``compose``, ``owned``, ``gate``, ``orphans``, ``shared``, ``bring_up``, and ``told`` where there is a database. hidden: containers that users reach."""
    yield _COMPOSE.format(docker_calls.compose(service.name, '"$file"'))
    yield _OWNED.format(service=quote(service.name))
    yield _gate(service, host_name)
    yield _ORPHANS.format(label=render.SERVICE_LABEL, service=quote(service.name))
    yield _shared(service)
    yield _bring_up(hidden, next((LOCAL for item in service.containers if LOCAL in item.networks), CORE))
    if service.databases:
        yield psql.TOLD


# Seconds. Who has waited comes all at once when it serves: its queue is full then, and who comes after them would not be held for it.
RUSH = 15
# Within the proxy: the marks go after the rush, but for one that is there for the next replacement.
_LED_ON = f'touch "$0"; sleep {RUSH}; for mark; do [ "$mark" -nt "$0" ] || rm -f "$mark"; done'


def led_on(proxy: str, hidden: Sequence[str]) -> str:
    """Shell: nobody is held any longer, once those are served who were. proxy: its container. hidden: as above."""
    names = [f"/tmp/led-on-{hidden[0]}", *marks(hidden)]
    words = " ".join(map(quote, ("docker", "exec", "--detach", proxy, "sh", "-c", _LED_ON, *names)))
    return f"{words} 2>/dev/null || true"


def marks(hidden: Iterable[str]) -> list[str]:
    """The files that make the proxy hold requests (templates/caddy)."""
    return [f"/tmp/replaced-{name}" for name in hidden]


# compose FILE ARGUMENT...
_COMPOSE = """
compose() {{
    file=$1 && shift
    {} "$@"
}}
""".strip()


# orphans FILE: what of ours an earlier description had. Not Compose's --remove-orphans, which goes by the project's
# name, and so takes what an operator runs in a project of that name. One-offs (docker compose run) stay. What somebody has renamed
# (docker rename) is Compose's as before, so that it makes no other: it gets its name back, unless another has that by now.
_ORPHANS = """
orphans() {{
    wanted=" $(sed -n 's/^    container_name: //p' "$1" 2>/dev/null | tr '\\n' ' ')"
    [ "$wanted" != " " ] || return 0
    docker ps -a --filter label={label}={service} --filter label=com.docker.compose.oneoff=False \\
        --format '{{{{.ID}}}} {{{{.Names}}}} {{{{.Label "com.docker.compose.service"}}}}' | while read -r id called name; do
        case $wanted in
        *" $name "*)
            case $called in "$name" | "$name-next") continue ;; esac
            state "$name" >/dev/null || docker rename "$id" "$name" || exit
            ;;
        *) docker stop "$id" >/dev/null && docker rm "$id" >/dev/null || exit ;;
        esac
    done
}}
""".strip()

# owned CONTAINER: of its volumes those that its user may not write to are named, by their roots.
_OWNED = """
owned() {{
    user=$(docker inspect --type container --format '{{{{.Config.User}}}}' "$1" 2>/dev/null)
    case $user in
    '' | 0 | 0:* | root | root:*) return 0 ;;
    *[!0-9:]*) ids=$(docker cp "$1:/etc/passwd" - 2>/dev/null | tar -xO 2>/dev/null | awk -F : -v name="${{user%%:*}}" '$1 == name {{ print $3, $4 }}') ;;
    *) ids="${{user%%:*}} ${{user#*:}}" ;;
    esac
    docker inspect --type container --format '{{{{range .Mounts}}}}{{{{if and .RW (eq .Type "volume")}}}}{{{{println .Name .Source}}}}{{{{end}}}}{{{{end}}}}' "$1" 2>/dev/null | while read -r name folder; do
        is=$(stat -c '%u %g %a' "$folder" 2>/dev/null) || continue
        case $is in
        "${{ids% *}} "* | *[2367] | *" ${{ids#* }} "*[2367][0-7]) ;;
        *) [ -z "$ids" ] || echo {service}: "its volume $name belongs to the user ${{is%% *}}, and it runs as ${{ids% *}}: chown -R ${{ids% *}} $folder gives it back" >&2 ;;
        esac
    done
}}
""".strip()

_STATE = "{{.State.Status}}/{{if .State.Health}}{{.State.Health.Status}}{{end}}/{{.State.ExitCode}}/{{.RestartCount}}"


def _gate(service: Service, host_name: str) -> str:
    """The function ``gate``: container, seconds, the state to wait for, a hopeless one, what else is said."""
    where, main = f"{service.name}: container", service.main
    short = (
        f"{service.name}: it has come to the end of its {main.size.memory_mb} MB of memory: raise "
        f"overrides.{service.name}.memory_mb"
    )
    return f"""
state() {{ docker inspect --type container --format '{_STATE}' "$@" 2>/dev/null | grep .; }}
squeezed() {{
    found=$(docker inspect --type container --format '{{{{.State.OOMKilled}}}} {{{{.Id}}}}' "$1" 2>/dev/null) || return
    case $found in true*) return 0 ;; esac
    for folder in {_CGROUPS}/system.slice/docker-"${{found#* }}".scope {_CGROUPS}/docker/"${{found#* }}"; do
        cat "$folder/memory.events" "$folder/memory.pressure" 2>/dev/null
    done | awk '$1 == "oom_kill" && $2 > 0 {{ hit = 1 }}
        $1 == "full" {{ sub(/.*=/, "", $3); if ($3 + 0 >= {_PRESSED}) hit = 1 }}
        END {{ exit !hit }}'
}}
gate() {{
    since=$(date +%s) first= looks=0
    while :; do
        passed=$(($(date +%s) - since)) over=
        [ $passed -lt "$2" ] || passed=$2 over=yes
        state=$(state "$1-next" "$1") || state=missing///0
        case $state in
        ${{3:-running/healthy/*}}) return 0 ;;
        ${{4:-dead/*}}) over=yes ;;
        esac
        first=${{first:-${{state##*/}}}} why=${{5:-is not healthy after $passed s}}
        again=$((${{state##*/}} - first))
        [ $again -lt {_RESTARTS} ] || over=yes why="has ended and been restarted $again times in $passed s"
        if [ -n "$over" ]; then
            echo {quote(where)} "$1 on {host_name} $why (${{state%/*}}); its last 50 log lines:" >&2
            ! state "$1-next" >/dev/null || set -- "$1-next"
            docker logs --tail 50 "$1" >&2 2>&1 || true
            owned "$1" || true
            case $1 in {quote(main.name)} | {quote(main.name)}-next | {quote(main.name)}-second) ! squeezed "$1" || echo {quote(short)} >&2 ;; esac
            return 1
        fi
        looks=$((looks + 1))
        [ $looks -lt 10 ] && sleep 0.3 || sleep 0.5
    done
}}
""".strip()


def _shared(service: Service) -> str:
    """The function ``shared``: a container, under the name of the one that it is or stands for, is in the networks that all nodes have in common."""
    cases = [
        f"{quote(item.name)}) networks={quote(' '.join(item.shared))} ;;"
        for item in service.containers
        if item.shared
    ]
    if not cases:
        return "shared() { :; }"
    return f"""
shared() {{
    case $2 in {" ".join(cases)} *) return 0 ;; esac
    for network in $networks; do
        case " $(docker inspect --type container --format '{{{{range $name, $_ := .NetworkSettings.Networks}}}}{{{{$name}}}} {{{{end}}}}' "$1") " in
        *" $network "*) ;;
        *) docker network connect "$network" "$1" || return ;;
        esac
    done
}}
""".strip()


def _bring_up(hidden: Iterable[str], core: str) -> str:
    """The function ``bring_up``: compose file, ``container=seconds …``, an option for compose.

    A hidden container has no name that the proxy knows: before it starts it is renamed, and loses the aliases that
    compose gives it in the proxy's network. Its name is what it gets back. On a cluster's node no proxy is in the network that it starts in.
    On a host that somebody has made a swarm of it keeps its name: Docker takes no other one to a bridge then (moby 26.1), and nobody would
    find it. Somebody waits for it meanwhile, so it starts before Compose, which takes half a second to find out what else has to. What the
    variable ``between`` names is done while the ones of before are gone and the new ones not started: until then they serve.
    """
    hidden = tuple(hidden)
    own = 'for item in $2; do shared "${item%=*}" "${item%=*}" || return; done'
    names, nexts = (" ".join(map(quote, found)) for found in (hidden, map(replacement, hidden)))
    gates = 'for item in $2; do gate "${item%=*}" "${item##*=}" || return; done'
    if not names or core == LOCAL:
        return f"""
bring_up() {{
    ${{between:-:}} && orphans "$1" && compose "$1" {UP} ${{3:-}} 2>&1 || return
    {gates}
    {own}
}}
""".strip()
    return f"""
hide() {{
    [ "$(docker inspect --type container --format '{{{{.State.Status}}}}' "$1")" = created ] || return 0
    [ "$(docker info --format '{{{{.Swarm.LocalNodeState}}}}')" != active ] || return 0
    docker rename "$1" "$1-next" && docker network disconnect {core} "$1-next" && docker network connect {core} "$1-next"
}}
bring_up() {{
    for item in {names}; do docker rm --force "$item-next" >/dev/null 2>&1 || true; done
    orphans "$1" && compose "$1" {UP.replace("-d", "--no-start")} ${{3:-}} 2>&1 || return
    {{ for item in {names}; do hide "$item" & done; wait; }} &
    hiding=$! failed=
    ${{between:-:}} || failed=$?
    wait $hiding
    [ -z "$failed" ] || return "$failed"
    docker start {nexts} >/dev/null 2>&1 || true
    compose "$1" start 2>&1 || return
    {gates}
    for item in {names}; do ! state "$item-next" >/dev/null || docker rename "$item-next" "$item" || return; done
    {own}
}}
""".strip()

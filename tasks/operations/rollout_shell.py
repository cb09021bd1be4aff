"""Rollout's shell: the functions that bring a compose file up, hidden from the proxy until all is healthy."""

from collections.abc import Iterable, Iterator
from shlex import quote

from tasks.model.catalogue import CORE, Service
from tasks.rendering import docker_calls, render

# A container that has ended so often does not come to life by waiting.
_RESTARTS = 5

UP = "up -d --no-build --quiet-pull"


def functions(service: Service, host_name: str, hidden: Iterable[str]) -> Iterator[str]:
    """``compose``, ``gate``, ``orphans`` and ``bring_up``. hidden: containers that users reach."""
    yield _COMPOSE.format(docker_calls.compose(service.name, '"$file"'))
    yield _gate(service, host_name)
    yield _ORPHANS.format(label=render.SERVICE_LABEL, service=quote(service.name))
    yield _bring_up(hidden)


# compose FILE ARGUMENT...
_COMPOSE = """
compose() {{
    file=$1 && shift
    {} "$@"
}}
""".strip()


# orphans FILE: what of ours an earlier description had. Not Compose's --remove-orphans, which goes by the project's
# name, and so takes what an operator runs in a project of that name. One-offs (docker compose run) stay.
_ORPHANS = """
orphans() {{
    wanted=" $(sed -n 's/^    container_name: //p' "$1" 2>/dev/null | tr '\\n' ' ')"
    [ "$wanted" != " " ] || return 0
    docker ps -a --filter label={label}={service} --filter label=com.docker.compose.oneoff=False \\
        --format '{{{{.ID}}}} {{{{.Label "com.docker.compose.service"}}}}' | while read -r id name; do
        case $wanted in
        *" $name "*) ;;
        *) docker stop "$id" >/dev/null && docker rm "$id" >/dev/null || exit ;;
        esac
    done
}}
""".strip()

_STATE = "{{.State.Status}}/{{if .State.Health}}{{.State.Health.Status}}{{end}}/{{.State.ExitCode}}/{{.RestartCount}}"


def _gate(service: Service, host_name: str) -> str:
    """The function ``gate``: container, seconds, the state to wait for, a hopeless one, what else is said."""
    where = f"{service.name}: container"
    return f"""
state() {{ docker inspect --type container --format '{_STATE}' "$@" 2>/dev/null | grep .; }}
gate() {{
    deadline=$(($(date +%s) + $2)) first= looks=0
    while :; do
        state=$(state "$1-next" "$1") || state=missing///0
        case $state in
        ${{3:-running/healthy/*}}) return 0 ;;
        ${{4:-dead/*}}) deadline=0 ;;
        esac
        first=${{first:-${{state##*/}}}}
        [ "${{state##*/}}" -lt $((first + {_RESTARTS})) ] || deadline=0
        if [ "$(date +%s)" -ge $deadline ]; then
            echo {quote(where)} "$1 on {host_name} ${{5:-is not healthy after $2 s}} (${{state%/*}}); its last 50 log lines:" >&2
            ! state "$1-next" >/dev/null || set -- "$1-next"
            docker logs --tail 50 "$1" >&2 2>&1 || true
            return 1
        fi
        looks=$((looks + 1))
        [ $looks -lt 10 ] && sleep 0.3 || sleep 1
    done
}}
""".strip()


def _bring_up(hidden: Iterable[str]) -> str:
    """The function ``bring_up``: compose file, ``container=seconds …``, an option for compose.

    A hidden container has no name that the proxy knows: before it starts it is renamed, and loses the aliases that
    compose gives it in the proxy's network. Its name is what it gets back.
    """
    names = " ".join(map(quote, hidden))
    gates = 'for item in $2; do gate "${item%=*}" "${item##*=}" || return; done'
    if not names:
        return f"""
bring_up() {{
    orphans "$1" && compose "$1" {UP} ${{3:-}} 2>&1 || return
    {gates}
}}
""".strip()
    return f"""
hide() {{
    [ "$(docker inspect --type container --format '{{{{.State.Status}}}}' "$1")" = created ] || return 0
    docker rename "$1" "$1-next" || return 1
    docker network disconnect {CORE} "$1-next" && docker network connect {CORE} "$1-next"
}}
bring_up() {{
    for item in {names}; do docker rm --force "$item-next" >/dev/null 2>&1 || true; done
    orphans "$1" && compose "$1" {UP.replace("-d", "--no-start")} ${{3:-}} 2>&1 || return
    for item in {names}; do hide "$item" || true; done
    compose "$1" start 2>&1 || return
    {gates}
    for item in {names}; do ! state "$item-next" >/dev/null || docker rename "$item-next" "$item" || return; done
}}
""".strip()

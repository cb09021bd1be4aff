"""Rolling: a second container stands in for one that visitors reach while that is replaced, so that nobody waits.

It is Compose's own (``docker compose run``), of the new description, and healthy before anybody is led to it. Caddy leads new requests to it as
long as its file of that name is there (templates/caddy); what the first one has at work, WebSockets too, gets DRAIN seconds to end before
that is replaced. Then all is led back, and the second one goes the same way. It does not come back by itself after a boot.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from shlex import quote

from tasks.facts import ContainerState
from tasks.model.catalogue import Service
from tasks.model.effects import Effect, Start

# Seconds that requests and WebSockets have to end, which most do by themselves: whoever opens a WebSocket opens it anew.
DRAIN = 20
# MB that are left beside it, for all others.
_SPARE_MB = 256
# Caddy's admin API: how many requests are under way to each address, WebSockets among them.
_UPSTREAMS = "http://127.0.0.1:2019/reverse_proxy/upstreams"


def routed(service: Service) -> tuple[str, ...]:
    """Its containers that visitors reach."""
    return tuple(dict.fromkeys(route.container for route in service.routes))


def possible(service: Service, found: Mapping[str, ContainerState]) -> bool:
    """Whether a second one may stand in, and somebody is served meanwhile."""
    here = [found.get(name) for name in routed(service)]
    return service.rollout == "rolling" and all(
        item is not None and (item.status, item.health) == ("running", "healthy") for item in here
    )


def short(service: Service, available_mb: int) -> str:
    """What memory is missing for a second one, in words; empty where it is there."""
    wanted = sum(item.size.used for item in service.containers if item.name in routed(service))
    if available_mb > wanted + _SPARE_MB:
        return ""
    return f"a second one beside it would take {wanted} MB, and the host has {available_mb} MB left, {_SPARE_MB} of them for others"


def noticed(service: Service, item: Effect, missing: str) -> Effect:
    """The same effect, with what its visitors notice."""
    if not isinstance(item, Start) or item.container not in routed(service):
        return item
    return replace(item, rolls=not missing, short=missing)


def functions(names: Iterable[str], exec_proxy: str) -> str:
    """The functions ``stand_in FILE "name=seconds …"`` and ``dismiss``. exec_proxy: how a command reaches the proxy; empty without one. The variable
    ``as`` has what the second one gets otherwise, ``gone`` what takes away what it had (role.py).
    """
    return (
        _FUNCTIONS.replace("@names", " ".join(map(quote, names)))
        .replace("@exec", exec_proxy or "false")
        .replace("@upstreams", _UPSTREAMS)
        .replace("@drain", str(DRAIN))
    )


# dismiss: only where the first one answers again; else it is all that there is, and goes in the run that mends that.
_FUNCTIONS = r"""
under_way() {
    @exec wget -q -T 5 -O - @upstreams 2>/dev/null | tr '{}' '\n\n' |
        sed -n 's/^"address":"'"$1"':[0-9]*","num_requests":\([0-9]*\).*/\1/p' | awk '{ sum += $1 } END { print sum + 0 }'
}
drained() {
    for _ in $(seq @drain); do
        sleep 1
        [ "$(under_way "$1")" != 0 ] || return 0
    done
}
stand_in() {
    for item in @names; do
        docker rm --force --volumes "$item-second" >/dev/null 2>&1 || true
        compose "$1" run --detach --no-TTY --interactive=false --no-deps --quiet-pull ${as:-} --name "$item-second" "$item" >/dev/null || return
    done
    for item in $2; do gate "${item%=*}-second" "${item##*=}" "" 'exited/*' 'has not become healthy' || return; done
    for item in @names; do shared "$item-second" "$item" || return; done
    for item in @names; do @exec touch "/tmp/second-$item" || true; done
    for item in @names; do drained "$item"; done
}
dismiss() {
    for item in @names; do
        state "$item-second" >/dev/null || continue
        case $(state "$item") in running/healthy/*) ;; *) continue ;; esac
        @exec rm -f "/tmp/second-$item" || true
        drained "$item-second"
        docker stop "$item-second" >/dev/null 2>&1 || true
        ${gone:-:} || continue
        docker rm --force --volumes "$item-second" >/dev/null 2>&1 || true
    done
}
""".strip()

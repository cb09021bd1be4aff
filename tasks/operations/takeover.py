"""Takeover: ports 80 and 443 go from an old proxy's container to ours, and back when verification fails.

What there was is remembered in /opt/smarteros/takeover before anything is touched: ``containers`` has a line
``id|name|restart policy|running`` for each, ``unverified`` stands there until a run has verified that ours
answers. ``/root/undo-takeover.sh`` reads it, in a failing run as well as by hand, months later.
"""

from collections.abc import Generator, Iterable, Iterator
from shlex import quote

from pyinfra.api import StringCommand

from tasks.facts import Foreign, TakeoverFact, TakeoverState
from tasks.model.catalogue import Service
from tasks.operations import rollout, room
from tasks.operations.kept import keep
from tasks.rendering import docker_calls, render
from tasks.run import Commands, host, known, operation, services, stack

STATE = f"{render.ROOT}/takeover"
UNDO = "/root/undo-takeover.sh"
_PORTS = frozenset((80, 443))
_CADDYFILE = f"{render.CURRENT}/caddy/Caddyfile"


def accepted() -> frozenset[str]:
    """Containers that may hold the web's ports until our proxy starts."""
    return frozenset(item.name for item in holders(_found(), stack().takeover))


def refusals() -> Iterator[str]:
    """Why one of them cannot be taken over, with what to do."""
    yield from problems(_found(), stack().takeover, services())


def _found() -> TakeoverState:
    return known(TakeoverFact) if stack().takeover else TakeoverState()


def holders(found: TakeoverState, wanted: str) -> tuple[Foreign, ...]:
    """Containers on 80 or 443 whose name or image contains what the setting names. Pure."""
    return tuple(
        item
        for item in found.containers
        if wanted and item.ports & _PORTS and (wanted in item.name or wanted in item.image)
    )


def namesakes(found: TakeoverState, chosen: Iterable[Service]) -> tuple[Foreign, ...]:
    """Containers, running or not, that are called like our proxy. Pure."""
    names = {service.main.name for service in chosen if service.phase == "proxy"}
    return tuple(item for item in found.containers if item.name in names)


def problems(found: TakeoverState, wanted: str, chosen: tuple[Service, ...]) -> Iterator[str]:
    """Each reason against taking over, with what to do. Pure."""
    projects = {service.name for service in chosen if service.phase == "proxy"}
    old = holders(found, wanted)
    for item in dict.fromkeys((*old, *namesakes(found, chosen))):
        if item.temporary and item in old:
            yield (
                f"takeover: the container {item.name} was started with --rm and would be gone once stopped: "
                "start it without --rm, or stop it yourself"
            )
        if item.project in projects:
            yield (
                f"takeover: the container {item.name} is of a Compose project called {item.project}, as ours is, "
                f"and Compose would remove it: start it again as another one (docker compose -p old-{item.project} "
                "up -d), or remove it yourself"
            )


@operation
def taken(service: Service) -> Commands:
    """The old proxy stops, our proxy starts in its place; nothing to do where nothing is in the way."""
    found = known(TakeoverFact)
    old, clashing = holders(found, stack().takeover), namesakes(found, (service,))
    for item in old:
        ports = " and ".join(str(port) for port in sorted(item.ports & _PORTS))
        host().log(f"{item.name} ({item.image}) holds {ports}: stopped and kept; bash {UNDO} undoes it")
    for item in clashing:
        host().log(f"{item.name}: a container of that name is not ours: renamed to {_renamed(item.name)}")
    if old or clashing:
        yield StringCommand(hand_over(service, host().name, old, clashing))
    elif found.caddyfile != _CADDYFILE:
        yield StringCommand(f"set -e\n{_LINK}")


def _renamed(name: str) -> str:
    return f"{name}-before-smarteros"


def hand_over(
    service: Service, host_name: str, old: tuple[Foreign, ...], clashing: tuple[Foreign, ...]
) -> str:
    """Shell: remember, back up, make our container, then stop the old ones and start ours, gate included.

    What fails on the way is undone at once. After a kill the next run goes on: what was remembered stays.
    """
    names = " ".join(dict.fromkeys(quote(item.name) for item in (*old, *clashing)))
    # By its id: a container that was just renamed is among them.
    ids = "\n".join(f"old_{number}=$(id {quote(item.name)})" for number, item in enumerate(old))
    renames = "\n".join(f"docker rename {quote(x.name)} {quote(_renamed(x.name))}" for x in clashing)
    stopped = " ".join(f"$old_{number}" for number in range(len(old)))
    stop = f"docker update --restart=no {stopped} >/dev/null\ndocker stop {stopped} >/dev/null" if old else ""
    start = quote(rollout.start_script(service, host_name))
    compose = docker_calls.compose(service.name, f"{render.CURRENT}/{render.compose_path(service)}")
    return f"""
set -eu
umask 077
mkdir -p {STATE}
cd {STATE}
trap '[ $? = 0 ] || bash {UNDO} >&2' EXIT
id() {{ docker inspect --type container --format '{{{{.Id}}}}' "$1"; }}
{_remember(names)}
{ids}
{renames}
{compose} up --no-start --no-build --quiet-pull 2>&1
{stop}
{_LINK}
sh -c {start}
""".strip()


def _remember(names: str) -> str:
    """What a run that was killed has remembered is what there was; of a takeover that stood, only the same ones."""
    return f"""
: > .new
[ ! -e unverified ] || [ ! -e containers ] || cat containers > .new
for name in {names}; do
    found=$(id "$name")
    grep -q "^$found|" .new || grep -s "^$found|" containers >> .new ||
        docker inspect --type container --format '{room.LINE}' "$found" >> .new
    # Beside the original, where its old operators look for it; one of theirs is left alone.
    if docker cp -L "$found:/etc/caddy/Caddyfile" "$name.Caddyfile" >/dev/null 2>&1; then
        docker cp "$found:/etc/caddy/Caddyfile.backup" - >/dev/null 2>&1 ||
            docker cp "$name.Caddyfile" "$found:/etc/caddy/Caddyfile.backup" >/dev/null 2>&1 || true
    fi
done
sync .new
mv -f .new containers
touch unverified
""".strip()


# Only now: an old proxy that restarts reads the file of this name.
_LINK = f"""
{keep(["/root/Caddyfile"])}
aside /root/Caddyfile
ln -sfn {_CADDYFILE} /root/Caddyfile
""".strip()


@operation
def stands() -> Commands:
    """Verified: from now on only an operator undoes it."""
    if known(TakeoverFact).unverified:
        yield StringCommand(f"rm -f {STATE}/unverified")


def unproven() -> bool:
    """Whether an old proxy has made way, and nobody has verified yet that ours answers in its place."""
    return _found().unverified


def put_back() -> Generator[StringCommand, None, str]:
    """Part of an operation: undoes a takeover that is not verified; returns lines that say so, or nothing."""
    if not unproven():
        return ""
    yield StringCommand(f"bash {UNDO} || true")
    found = known(TakeoverFact)
    if found.unverified:
        return f"\n    the old proxy could not be put back: `bash {UNDO}` says why"
    names = ", ".join(item.name for item in holders(found, stack().takeover)) or "nothing that runs"
    return f"\n    put back: {names}; our proxy is stopped, its log is in {STATE}/proxy.log"

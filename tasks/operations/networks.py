"""Networks of Docker: those that there are, compared with those that there should be.

What is made is armed (tasks/operations/armed.py): a network takes its range away from everybody else who has it, be it
the way back to whoever is logged in. One that exists keeps its range for as long as it is nobody else's.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from shlex import quote

from pyinfra import context

from tasks.connection import grouped
from tasks.connection.drafts import note
from tasks.facts import DockerFact, DockerState, Machine, MachineFact, NetworkState, Other
from tasks.facts.bridges import MTU_OPTION, NETWORK_LABEL, POOL_LABEL
from tasks.model.cluster import MANAGERS
from tasks.model.effects import Network
from tasks.model.stack import Stack
from tasks.model.subnets import Claim, collision, free
from tasks.operations import armed
from tasks.rendering.templates import HOME
from tasks.run import Commands, Refused, host, known, operation, stack

# What Docker gives a network that is told nothing.
ETHERNET = 1500


@dataclass(frozen=True)
class Bridge:
    """A network to be made: why, as what, and what there was under its name."""

    why: str
    state: NetworkState
    before: NetworkState | None


@operation
def bridges(names: Iterable[str]) -> Commands:
    """Bridges of these names exist, as planned; the containers of one that is made anew stay in it."""
    made = list(planned(names, known(MachineFact), known(DockerFact), stack()))
    for bridge in made:
        host().log(f"{bridge.state.name}: {bridge.why}: {bridge.state.subnets[0]}")
    for line in left_out([bridge.state.name for bridge in made if bridge.before], known(DockerFact).others):
        host().log(line)
    note(*(Network(bridge.state.name) for bridge in made if bridge.before))
    if made:
        change = armed.Change(
            what="Docker's networks",
            files={},
            make="\n".join(_made(bridge.state, bridge.before, "armed/members") for bridge in made),
            undo="\n".join([_UNDO, SHELL, *(_undone(bridge) for bridge in made)]),
            snapshot=f"{SHELL}\nmembers >members",
        )
        yield from armed.proven(change)


def left_out(names: Collection[str], others: Iterable[Other]) -> Iterator[str]:
    """Who of others is in networks of these names and cannot be taken into new ones. Ours this run makes anew. Pure."""
    for item in others:
        if item.project and item.running and (found := [name for name in names if name in item.networks]):
            yield (
                f"{item.name} (of the Compose project {item.project}) is in {', '.join(found)}, and Docker takes nothing that Compose has made "
                f"into another network: it is in none of that name until `docker compose -p {item.project} up -d --force-recreate {item.part}`"
            )


def planned(names: Iterable[str], machine: Machine, docker: DockerState, settings: Stack) -> Iterator[Bridge]:
    """What has to be made, so that each is a bridge of the right MTU in a range of its own. Raises Refused."""
    claims = [*held(machine, docker), *taken((*docker.networks.values(), *_common()))]
    mtu = wanted_mtu(machine, settings)
    for name in names:
        before = docker.networks.get(name)
        others = [claim for claim in claims if claim.holder != _network(name)]
        why = difference(before, mtu, settings, others)
        if not why:
            continue
        kept = before and before.ours and not _moved(before, settings) and not _hit(before, others)
        subnet = ranges(before)[0] if before and kept and ranges(before) else chosen(name, settings, others)
        claims.append(Claim(subnet, _network(name)))
        pool = next((pool for pool in settings.network_pools if subnet.subnet_of(IPv4Network(pool))), "")
        state = NetworkState(
            name, "bridge", internal=False, subnets=(str(subnet),), mtu=mtu, ours=True, pool=pool
        )
        yield Bridge(why, state, before)


def _common() -> Iterator[NetworkState]:
    """What a cluster's nodes have in common, which a node that does not manage sees only once it runs something in it."""
    nodes = grouped.cluster()
    for name in nodes.of(MANAGERS) if nodes and not grouped.away(nodes) else ():
        with context.ctx_host.use(grouped.named(name)):
            found = known(DockerFact).networks.values()
        yield from (item for item in found if item.driver == "overlay")


def difference(before: NetworkState | None, mtu: str, settings: Stack, claims: Iterable[Claim]) -> str:
    """Why the network has to be made anew; empty when it is as it should be. Of what is not ours only the kind counts."""
    if before is None:
        return "does not exist"
    # What is not ours and does not fit is refused before (namesakes.py), and never removed.
    if before.ours and (before.driver, before.internal) != ("bridge", False):
        return f"is {'an internal' if before.internal else 'a'} {before.driver} network"
    return _misplaced(before, mtu, settings, claims) if before.ours else ""


def _misplaced(before: NetworkState, mtu: str, settings: Stack, claims: Iterable[Claim]) -> str:
    if holder := _hit(before, claims):
        return f"{before.subnets[0]} is taken, too, by {holder}"
    if _moved(before, settings):
        return f"network_pools does not name {before.pool} any more, where it is from"
    if (before.mtu or str(ETHERNET)) != (mtu or str(ETHERNET)):
        return f"its MTU is {before.mtu or ETHERNET}, and the way out has {mtu or ETHERNET}"
    return ""


def chosen(what: str, settings: Stack, claims: Iterable[Claim], *, last: bool = False) -> IPv4Network:
    """The first free range, or the last one of the first pool that has any. Raises Refused when all are taken."""
    claims = tuple(claims)
    for pool in map(IPv4Network, settings.network_pools):
        if found := list(free([pool], claims)):
            return found[-1 if last else 0]
    taken = ", ".join(f"{pool} ({collision(IPv4Network(pool), claims)})" for pool in settings.network_pools)
    raise Refused(
        f"network_pools: no range is left for {what}, all are taken: {taken}: name another private range"
    )


def refusals() -> Iterator[str]:
    """Why no network could be made."""
    try:
        list(planned(grouped.own(stack()), known(MachineFact), known(DockerFact), stack()))
    except Refused as error:
        yield str(error)


def warnings() -> Iterator[str]:
    """Ranges that are somebody's on the internet."""
    for pool in stack().network_pools:
        if IPv4Network(pool).is_global:
            yield f"network_pools: {pool} is public: neither host nor containers reach those whose it is"


def held(machine: Machine, docker: DockerState) -> list[Claim]:
    """What is somebody's around the host, but not Docker's own."""
    devices = {"docker0", *(network.device for network in docker.networks.values())}
    return list(machine.surroundings.claims(frozenset(devices)))


def wanted_mtu(machine: Machine, settings: Stack) -> str:
    """That of the way out where it is below the usual one, else nothing."""
    mtu = machine.surroundings.mtu(settings.wan_interfaces or machine.access.wan)
    return str(mtu) if 0 < mtu < ETHERNET else ""


def taken(there: Iterable[NetworkState]) -> Iterator[Claim]:
    """The ranges of these networks."""
    for network in there:
        yield from (Claim(subnet, _network(network.name)) for subnet in ranges(network))


def _network(name: str) -> str:
    return f"Docker's network {name}"


def ranges(network: NetworkState) -> list[IPv4Network]:
    """Those of IPv4."""
    return [IPv4Network(subnet) for subnet in network.subnets if ":" not in subnet]


def _hit(network: NetworkState, claims: Iterable[Claim]) -> str:
    claims = tuple(claims)
    return next((holder for subnet in ranges(network) if (holder := collision(subnet, claims))), "")


def _moved(network: NetworkState, settings: Stack) -> bool:
    return bool(network.pool) and network.pool not in settings.network_pools


SHELL = (HOME / "files" / "networks.sh").read_text("utf-8").strip()

# Docker answers only once it is up, which at boot is later: then smarteros-revert-late.service goes on from here.
_UNDO = """
if ! systemctl is-active --quiet docker.service; then
    case $(systemctl is-system-running) in initializing | starting) exit 0 ;; esac
    timeout 60 systemctl start docker.service
fi
""".strip()


def _made(state: NetworkState, before: NetworkState | None, members: str) -> str:
    lines = [f"gone {quote(state.name)}"] if before else []
    lines.append(_create(state))
    lines += [f"joined {quote(state.name)} {members}"] if before else []
    return "\n".join(lines)


def _undone(bridge: Bridge) -> str:
    name = quote(bridge.state.name)
    return _made(bridge.before, bridge.before, "undoing/members") if bridge.before else f"gone {name}"


def _create(state: NetworkState) -> str:
    words = ["--driver", state.driver, *(["--internal"] if state.internal else [])]
    words += [word for subnet in state.subnets for word in ("--subnet", subnet)]
    # Said even where it is the usual one: daemon.json may have another for networks that say nothing.
    words += ["--opt", f"{MTU_OPTION}={state.mtu or ETHERNET}"] if state.driver == "bridge" else []
    words += ["--label", f"{NETWORK_LABEL}=yes"] if state.ours else []
    words += ["--label", f"{POOL_LABEL}={state.pool}"] if state.pool else []
    return f"docker network create {' '.join(map(quote, words))} {quote(state.name)} >/dev/null"

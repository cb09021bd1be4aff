"""Ranges of Docker's own: what daemon.json has to say of docker0, of networks that others make, and of their MTU. Pure.

A Docker that is there keeps docker0 where it is for as long as that is nobody else's: a change restarts it.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from tasks.facts import DockerState, Machine
from tasks.facts.bridges import MTU_OPTION
from tasks.model.stack import Stack
from tasks.model.subnets import SIZE, Claim, blocks, collision
from tasks.operations import networks
from tasks.operations.armed import Change
from tasks.operations.daemon import parsed
from tasks.run import Refused

_POOLS, _BIP, _MTU, _DEFAULTS = "default-address-pools", "bip", "mtu", "default-network-opts"
# What Docker takes from when nobody tells it otherwise.
_DOCKERS = tuple(map(IPv4Network, ("172.16.0.0/12", "192.168.0.0/16")))
_DOCKERS_FIRST = IPv4Network("172.17.0.0/16")


def settings(have: Mapping[str, Any], machine: Machine, docker: DockerState, stack: Stack) -> dict[str, Any]:
    """The settings that are to be added to those that the host has. Raises Refused when no range is left."""
    held = networks.held(machine, docker)
    others = [*held, *networks.taken(item for item in docker.networks.values() if item.name != "bridge")]
    return {
        **_docker0(have, machine, docker, stack, others),
        **_pools(have, machine, stack, held, others),
        **_mtu(have, machine, stack),
    }


def _docker0(
    have: Mapping[str, Any], machine: Machine, docker: DockerState, stack: Stack, others: list[Claim]
) -> dict[str, str]:
    if {"bridge", "fixed-cidr"} & have.keys():  # a bridge of the operator's own
        return {}
    now = list(_now(have, machine, docker))
    if any(collision(subnet, others) for subnet in now) or (not now and not _installed(machine)):
        subnet = networks.chosen("docker0", stack, others, last=True)
        return {_BIP: f"{subnet[1]}/{subnet.prefixlen}"}
    return {}


def _now(have: Mapping[str, Any], machine: Machine, docker: DockerState) -> Iterator[IPv4Network]:
    """docker0's range: as it is written, else as it is."""
    try:
        if _BIP in have:
            yield IPv4Interface(str(have[_BIP])).network
            return
    except ValueError:
        return  # dockerd says what is wrong with it
    bridge = docker.networks.get("bridge")
    seen = networks.ranges(bridge) if bridge else []
    yield from seen or [subnet for device, subnet in machine.surroundings.addresses if device == "docker0"]


def _pools(
    have: Mapping[str, Any], machine: Machine, stack: Stack, held: list[Claim], others: list[Claim]
) -> dict[str, Any]:
    """Docker itself looks at the main table's routes only, and at nobody who is logged in; its own networks are what the pools are for."""
    written = have.get(_POOLS)
    if written is None:
        wanted = not _installed(machine) or any(
            item.range.overlaps(pool) for item in held if item.unseen for pool in _DOCKERS
        )
    else:
        wanted = any(collision(pool, held) for pool in _ours(written, stack))
    if not wanted:
        return {}
    free = blocks(map(IPv4Network, stack.network_pools), others)
    if not free:
        raise Refused(
            "network_pools: no range is left for networks that others make: name another private range"
        )
    return {_POOLS: [{"base": str(block), "size": SIZE} for block in free]}


def _ours(written: Any, stack: Stack) -> Iterator[IPv4Network]:
    """Those of the pools in daemon.json that were cut from ours."""
    for entry in written if isinstance(written, list) else ():
        try:
            base = IPv4Network(str(entry["base"]))
        except (ValueError, KeyError, TypeError):
            continue
        if any(base.subnet_of(IPv4Network(pool)) for pool in stack.network_pools):
            yield base


def _mtu(have: Mapping[str, Any], machine: Machine, stack: Stack) -> dict[str, Any]:
    """For docker0, and for networks that others make; back to the usual one where ours was smaller."""
    options = _table(have.get(_DEFAULTS))
    bridge = _table(options.get("bridge"))
    ours = str(have.get(_MTU)) == bridge.get(MTU_OPTION)
    mtu = networks.wanted_mtu(machine, stack) or (str(networks.ETHERNET) if ours else "")
    return {_MTU: int(mtu), _DEFAULTS: {**options, "bridge": {**bridge, MTU_OPTION: mtu}}} if mtu else {}


# A bridge of our own that has docker0's new range for as long as it takes a new connection to come in.
_TRIAL = "smarteros-try"
_GONE = f"ip link delete {_TRIAL} 2>/dev/null || true"


def trial(text: str, machine: Machine) -> Change | None:
    """What proves that whoever works here still comes in when docker0 has the range that these settings give it; None where
    it has it already. Docker itself cannot be armed: apt starts it, and a start may take longer than a revert waits. Nothing
    else in its settings takes a range: an MTU and pools count only for containers and networks that others make later.
    """
    try:
        bip = IPv4Interface(str(parsed(text).get(_BIP)))
    except (ValueError, Refused):
        return None
    if bip.network in [subnet for device, subnet in machine.surroundings.addresses if device == "docker0"]:
        return None
    make = f"{_GONE}\nip link add {_TRIAL} type bridge\nip address add {bip} dev {_TRIAL}\nip link set {_TRIAL} up"
    return Change(what=f"docker0's range {bip.network}", files={}, make=make, undo=_GONE, proven=_GONE)


def needed(have: Mapping[str, Any], machine: Machine, docker: DockerState, stack: Stack) -> str:
    """Who would be shut out if Docker chose its ranges by itself; empty where nobody would, or where it does already."""
    try:
        pools = [IPv4Interface(str(have[_BIP])).network] if _BIP in have else []
    except ValueError:
        pools = []
    pools += _ours(have.get(_POOLS), stack)
    if not any(pool.subnet_of(IPv4Network(ours)) for pool in pools for ours in stack.network_pools):
        return ""
    claims = networks.held(machine, docker)
    seen = [claim.range for claim in claims if not claim.unseen]
    for claim in claims:
        # What a route leads to may not be there yet when Docker starts at boot.
        hidden = claim.unseen and not any(claim.range.subnet_of(item) for item in seen)
        if claim.range.overlaps(_DOCKERS_FIRST) or (
            hidden and any(claim.range.overlaps(x) for x in _DOCKERS)
        ):
            return claim.holder
    return ""


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _installed(machine: Machine) -> bool:
    return bool(machine.engine or machine.compose)

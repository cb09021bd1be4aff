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
from tasks.run import Refused

_POOLS, _BIP, _MTU, _DEFAULTS = "default-address-pools", "bip", "mtu", "default-network-opts"
# What Docker takes from when nobody tells it otherwise.
_DOCKERS = tuple(map(IPv4Network, ("172.16.0.0/12", "192.168.0.0/16")))


def settings(have: Mapping[str, Any], machine: Machine, docker: DockerState, stack: Stack) -> dict[str, Any]:
    """The settings that are to be added to those that the host has. Raises Refused when no range is left."""
    held = networks.held(machine, docker)
    others = [*held, *networks.taken(item for item in docker.networks.values() if item.name != "bridge")]
    return {
        **_docker0(have, machine, docker, stack, others),
        **_pools(have, machine, stack, others),
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


def _pools(have: Mapping[str, Any], machine: Machine, stack: Stack, others: list[Claim]) -> dict[str, Any]:
    """Docker itself looks at the main table's routes only, and at nobody who is logged in."""
    written = have.get(_POOLS)
    if written is None:
        wanted = not _installed(machine) or any(
            item.range.overlaps(pool) for item in others if item.unseen for pool in _DOCKERS
        )
    else:
        wanted = any(collision(pool, others) for pool in _ours(written, stack))
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


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _installed(machine: Machine) -> bool:
    return bool(machine.engine or machine.compose)

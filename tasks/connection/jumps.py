"""Jumps: which hosts of the inventory are reached through which other, as the SSH configuration says."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from pyinfra.api.host import Host
from pyinfra.connectors.sshuserclient.client import SSHClient, get_ssh_config

# ssh's options that are followed by a value.
_VALUED = "BbcDEeFIiJLlmOoPpQRSWw"


class Config(Protocol):
    """An SSH configuration, as paramiko reads it."""

    def lookup(self, hostname: str) -> Mapping[str, Any]:
        """What it says of a host."""


def through(target: Host) -> tuple[str, ...]:
    """``host:port`` of all to which the inventory leads through this host."""
    names = {target.name, *_names(target)}
    found = {
        leads_to
        for other in target.state.inventory
        if other is not target and (config := get_ssh_config(other.data.get("ssh_config_file")))
        for via, leads_to in hops(config, _hostname(other), other.data.get("ssh_port"))
        if via in names
    }
    return tuple(sorted(found))


def _hostname(target: Host) -> str:
    return str(target.data.get("ssh_hostname") or target.name)


def _names(target: Host) -> Iterator[str]:
    name = _hostname(target)
    yield name
    if config := get_ssh_config(target.data.get("ssh_config_file")):
        yield str(config.lookup(name).get("hostname", name))


def hops(
    config: Config, name: str, port: int | None = None, seen: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str]]:
    """Each host on the way to that one, under every name it goes by, with where it has to lead (``host:port``). Pure.

    As pyinfra and OpenSSH take them: of both settings the command counts, and the first hop may have hops of its own.
    """
    found = config.lookup(name)
    target = _address(str(found.get("hostname", name)), int(found.get("port", port or 22)))
    if command := str(found.get("proxycommand", "")):
        yield from _of_command(config, command)
        return
    jumps = [text.strip() for text in str(found.get("proxyjump", "none")).split(",")]
    if jumps in (["none"], [""]):
        return
    ways = [SSHClient.derive_shorthand(config, text) for text in jumps]
    for number, (host, _) in enumerate(ways):
        leads = {target}
        if number + 1 < len(ways):
            after, settings = ways[number + 1]
            leads = {_address(each, int(settings["port"])) for each in _both(config, after)}
        yield from ((via, lead) for via in _both(config, host) for lead in leads)
    if ways[0][0] not in seen:
        yield from hops(config, ways[0][0], seen=seen | {name, ways[0][0]})


def _of_command(config: Config, command: str) -> Iterator[tuple[str, str]]:
    """``ssh -W host:port bastion``; ``ssh bastion nc …`` needs no leave of sshd's."""
    try:
        words = shlex.split(command)
    except ValueError:
        return
    lead, destination = "", ""
    rest = iter(words[1:] if words and words[0].rpartition("/")[2] == "ssh" else [])
    for word in rest:
        if not word.startswith("-"):
            destination = word
            break
        if word[-1] in _VALUED and len(word) == 2:
            value = next(rest, "")
            lead = value if word == "-W" else lead
        elif word.startswith("-W"):
            lead = word[2:]
    if lead and destination:
        yield from ((via, lead) for via in _both(config, destination.rpartition("@")[2]))


def _both(config: Config, host: str) -> set[str]:
    """The name that it is called by, and the one that it has."""
    return {host, str(config.lookup(host).get("hostname", host))}


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

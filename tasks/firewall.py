"""Firewall: a table of our own in the kernel, before Docker's, so that nothing is open to the world but what is meant to be.

What is loaded is compared, not only the file: a table that somebody flushed or edited is found and put right.
"""

from collections.abc import Iterable, Iterator
from ipaddress import collapse_addresses, ip_network
from typing import Any

from pyinfra import logger

from tasks.connection.drafts import note
from tasks.facts import Machine, MachineFact
from tasks.facts.access import FIREWALL, FIREWALL_UNIT, TABLE, WAY, Access
from tasks.model.effects import File
from tasks.model.port_types import NUMBERS, bounds
from tasks.model.stack import OpenPort, Stack
from tasks.operations import apt, armed, cut_off, guests, walls
from tasks.operations.files import expected
from tasks.rendering.templates import HOME, jinja
from tasks.run import (
    Commands,
    Refused,
    executing,
    host,
    known,
    operation,
    remember,
    stack,
    straight_on,
)
from tasks.services import every

_UNIT = f"/etc/systemd/system/{FIREWALL_UNIT}"
_WANTED = f"/etc/systemd/system/sysinit.target.wants/{FIREWALL_UNIT}"
_WEB = (80, 443)

_MAKE = f"""
/usr/sbin/nft --check --file {FIREWALL}
systemctl daemon-reload
systemctl enable --quiet {FIREWALL_UNIT}
systemctl restart {FIREWALL_UNIT}
""".strip()

_SNAPSHOT = f"/usr/sbin/nft -s list table {TABLE} >table.nft 2>/dev/null || : >table.nft"

_UNDO = f"""
{{ printf 'table {TABLE}\\ndelete table {TABLE}\\n'; cat undoing/table.nft; }} | /usr/sbin/nft -f - || /usr/sbin/nft delete table {TABLE}
systemctl --no-block daemon-reload
""".strip()


def run() -> None:
    """The phase. First what a run that was cut short has left unproven, here or in sshd."""
    armed.settled(name="Firewall | an unproven change is taken back")
    table(name="Firewall | our table, loaded at boot")


@operation
def table() -> Commands:
    """The file, the unit and the kernel hold the rules, and a new SSH connection has come through them."""
    found = known(MachineFact)
    files = {
        FIREWALL: text(found.access, stack()),
        _UNIT: (HOME / "files" / "units" / FIREWALL_UNIT).read_text("utf-8"),
    }
    wanted = {
        path: f"{state.sha256} {state.mode} {state.owner}"
        for path, state in expected(files, mode="644").items()
    }
    right = (
        found.access.firewall_file == wanted[FIREWALL]
        and found.units.get(FIREWALL_UNIT) == wanted[_UNIT]
        and found.access.firewall_enabled
        and found.access.firewall_loaded
    )
    if not right:
        say(found)
        for path, state in wanted.items():
            have = found.access.firewall_file if path == FIREWALL else found.units.get(FIREWALL_UNIT, "")
            if have != state:
                note(File(path, files[path], have.partition(" ")[0]))
    if not found.access.nft:
        yield apt.install("nftables")
    if not right:
        others = (_WANTED, "/run/smarteros-firewall/loaded")
        yield from armed.proven(armed.Change("the firewall", files, _MAKE, _UNDO, others, _SNAPSHOT))


def say(found: Machine) -> None:
    """What the world will no longer reach, and which other firewalls there are; once in a run, before anything is asked or done."""
    access, settings = found.access, stack()
    lines = cut_off.lines(found, interfaces(access, settings), passing(access, settings), frozenset(every()))
    lines += guests.lines(found, interfaces(access, settings), (*settings.guests, *settings.network_pools))
    lines += walls.lines(found.walls)

    def said() -> bool:
        for line in lines:
            host().log_styled(line, fg="yellow", log_func=logger.warning)
        return True

    if executing() or not straight_on():
        remember("cut off", said)


def refusals(machine: Machine, settings: Stack) -> Iterator[str]:
    """Interfaces and addresses of the settings that are another host's, or this one's own; guests on a bridge. Pure."""
    access = machine.access
    interfaces = sorted({*access.addresses.values()} - {"lo"})
    for index, name in enumerate(settings.wan_interfaces):
        if interfaces and name not in interfaces:
            yield (
                f"wan_interfaces.{index}: the host has no interface {name!r} with an address; it has "
                f"{', '.join(interfaces)}"
            )
    for index, peer in enumerate(settings.peers):
        if peer in access.addresses:
            yield f"peers.{index}: {peer} is an address of the host itself: leave it out"
    yield from guests.refusals(machine, settings.wan_interfaces or access.wan)


def text(access: Access, settings: Stack) -> str:
    """The rules as nft reads them. Raises Refused when nothing says which interfaces face the world."""
    wan = interfaces(access, settings)
    ssh = {*(access.ssh_ports or (22,))}
    return (
        jinja()
        .get_template("firewall/firewall.nft.j2")
        .render(
            wan=wan,
            tcp=sorted({*ssh, *_WEB}),
            ways=_ways(access, wan),
            note=WAY,
            guests=list(_behind(settings.guests)),
            opened=[rule for item in settings.open_ports for rule in _rules(item)],
            peers_v4=[peer for peer in settings.peers if ip_network(peer).version == 4],
            peers_v6=[peer for peer in settings.peers if ip_network(peer).version == 6],
        )
    )


def interfaces(access: Access, settings: Stack) -> tuple[str, ...]:
    """Those that face the world. Raises Refused."""
    wan = settings.wan_interfaces or access.wan
    if not wan:
        raise Refused(
            f"firewall: {host().name} has no default route, so that nothing says which interface faces the world: "
            'set wan_interfaces = ["eth0"]'
        )
    return wan


def passing(access: Access, settings: Stack) -> list[cut_off.Ports]:
    """What the table lets in from everybody, or from somebody: protocol, first and last port."""
    tcp = [*(access.ssh_ports or (22,)), *_ways(access, interfaces(access, settings)), *_WEB]
    nodes = [("tcp", 2377), ("tcp", 7946), ("udp", 4789), ("udp", 7946)] if settings.peers else []
    single = [*(("tcp", port) for port in tcp), ("udp", 443), *nodes]
    opened = [(item.protocol, *bounds(item.port or "1-65535")) for item in settings.open_ports]
    return [*((protocol, port, port) for protocol, port in single), *opened]


def _ways(access: Access, wan: tuple[str, ...]) -> list[int]:
    """Ports that a run came in by, over an interface that is filtered, and that nothing else opens."""
    others = (*(access.ssh_ports or (22,)), *_WEB)
    return sorted(port for port, name in access.ways.items() if port not in others and name in ("", *wan))


def _behind(addresses: Iterable[str]) -> Iterator[str]:
    """What nft asks of a packet for one of them. The host's own addresses are none, unless one is named alone."""
    for version, family in ((4, "ip"), (6, "ip6")):
        found = [item for item in map(ip_network, addresses) if item.version == version]
        ranges: list[Any] = [item for item in found if item.num_addresses > 1]
        alone = [str(item.network_address) for item in found if item.num_addresses == 1]
        if alone:
            yield f"{family} daddr {{ {', '.join(alone)} }}"
        if ranges:
            yield f"{family} daddr {{ {', '.join(map(str, collapse_addresses(ranges)))} }} fib daddr type != local"


def _rules(opened: OpenPort) -> Iterator[str]:
    """What nft asks of a packet, in one or two ways. Its sets take no network inside another."""
    port = f"{opened.protocol} dport {opened.port}"
    if not opened.port:
        port = f"meta l4proto {NUMBERS.get(opened.protocol) or opened.protocol}"
    if not opened.sources:
        yield port
    for version, family in ((4, "ip"), (6, "ip6")):
        networks: list[Any] = [
            ip_network(text) for text in opened.sources if ip_network(text).version == version
        ]
        if networks:
            yield f"{family} saddr {{ {', '.join(map(str, collapse_addresses(networks)))} }} {port}"

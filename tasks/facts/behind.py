"""Behind: what the world reaches on a host, or past it, without a port that listens: ports that its rules lead on, networks
that it routes to, guests on its bridges, tunnels. Asked within MachineFact, before the first deploy alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Network

from tasks.facts.forwards import Forward, forwards
from tasks.rendering.render import CURRENT


@dataclass(frozen=True)
class Tunnel:
    """Packets of a protocol without ports. source: who sends them, empty for anybody."""

    protocol: str
    who: str
    source: str = ""


@dataclass(frozen=True)
class Behind:
    """bridges: bridge → its ports that are guests'. filtered: the kernel shows bridged packets to firewalls, or will once
    a Docker loads what does it. routes: IPv6 ranges and their devices. forwarding: versions of IP that are handed on.
    """

    forwards: tuple[Forward, ...] = ()
    tunnels: tuple[Tunnel, ...] = ()
    bridges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    filtered: bool = False
    routes: tuple[tuple[IPv6Network, str], ...] = ()
    forwarding: frozenset[int] = frozenset()


# Docker's own chains are asked for as containers (listeners.py). A guest's port of a bridge is a tap, or has its other end in
# another namespace; a VLAN has that, too.
QUESTION = rf"""
if [ ! -e {CURRENT} ] && [ ! -L {CURRENT} ]; then
    for six in "" 6; do
        {{
            ip${{six}}tables-save
            [ ! -s /proc/net/ip${{six}}_tables_names ] || ip${{six}}tables-legacy-save
        }} 2>/dev/null | awk '/^\*/ {{table = $1}} table == "*nat" && /^-A /' | sed -u "s/^/nat${{six:-4}} /" &
    done
    [ ! -x /usr/sbin/nft ] || /usr/sbin/nft -s list ruleset 2>/dev/null | awk '
        /^table / {{table = $2 " " $3}}
        /[ \t](dnat|redirect)( |$)/ || table ~ /io[.]systemd[.]nat/ && / (tcp|udp) [.] / {{sub(/^[ \t]+/, ""); print "nft_rule " table "|" $0; fflush()}}' &
    ip -d -o link show 2>/dev/null |
        sed -un 's/^[0-9]*: \([^:@]*\)[@:].* \(gre\|gretap\|erspan\|ip6gre\|ip6gretap\|sit\|ipip\|ip6tnl\) \(.* \)\{{0,1\}}remote \([^ ]*\) .*/tunnel_in \2 \1 \4/p' &
    ip xfrm state 2>/dev/null | awk '
        function said() {{if (protocol) {{print "tunnel_in", protocol, "-", source; fflush()}} protocol = ""}}
        /^src / {{said(); source = $2}} $1 == "proto" && $2 ~ /^(esp|ah)$/ {{protocol = $2}} $1 == "encap" {{protocol = ""}} END {{said()}}' &
    awk '/^[0-9]/ {{name = $2}} /^\t/ && $1 !~ /0000E0$/ {{print "group", name}}' /proc/net/igmp 2>/dev/null | sort -u | sed -u 's/^/tunnel_in /'
    for port in /sys/class/net/*/brport; do
        port=${{port%/brport}} name=${{port#/sys/class/net/}} name=${{name%/brport}}
        [ -e "$port/brport" ] && [ ! -e "/proc/net/vlan/$name" ] || continue
        [ -e "$port/tun_flags" ] || [ "$(cat "$port/iflink")" != "$(cat "$port/ifindex")" ] || continue
        # It may have gone since: a container that ends takes its port along.
        master=$(readlink "$port/master") && echo "bridged ${{master##*/}} $name"
    done
    for name in iptables ip6tables; do
        [ "$(cat /proc/sys/net/bridge/bridge-nf-call-$name 2>/dev/null)" = 0 ] || echo "bridges_filtered yes"
    done
    ip -6 -o route show 2>/dev/null | sed -un 's/^\([0-9a-f:/]*\) \(.* \)\{{0,1\}}dev \([^ ]*\).*/route6 \1 \3/p' &
    [ "$(cat /proc/sys/net/ipv4/ip_forward 2>/dev/null)" = 0 ] || echo "forwarding 4"
    [ "$(cat /proc/sys/net/ipv6/conf/all/forwarding 2>/dev/null || echo 0)" = 0 ] || echo "forwarding 6"
fi
""".strip()

_DOCKERS = re.compile(r"docker0|docker_gwbridge|br-[0-9a-f]{12}")
# How ip calls a device → what its packets are called.
_KINDS = {
    **dict.fromkeys(("gre", "gretap", "erspan", "ip6gre", "ip6gretap"), "gre"),
    "sit": "6in4",
    "ipip": "ipip",
    "ip6tnl": "6in4",
}
# Devices that come with the kernel's module.
_UNUSED = ("gre0", "gretap0", "erspan0", "ip6gre0", "sit0", "tunl0", "ip6tnl0")


def behind(values: Mapping[str, Sequence[str]]) -> Behind:
    """What MachineFact's lines say of it: key → values. Raises ValueError for lines that no host prints."""
    bridges: dict[str, tuple[str, ...]] = {}
    for line in values.get("bridged", ()):
        bridge, port = line.split()
        if not _DOCKERS.fullmatch(bridge):
            bridges[bridge] = (*bridges.get(bridge, ()), port)
    return Behind(
        forwards=tuple(
            dict.fromkeys(
                forwards(values.get("nat4", ()), values.get("nat6", ()), values.get("nft_rule", ()))
            )
        ),
        tunnels=tuple(
            dict.fromkeys(
                _tunnel(line) for line in values.get("tunnel_in", ()) if line.split()[1] not in _UNUSED
            )
        ),
        bridges=bridges,
        filtered="bridges_filtered" in values,
        routes=tuple(_route(line) for line in values.get("route6", ())),
        forwarding=frozenset(map(int, values.get("forwarding", ()))),
    )


def _tunnel(line: str) -> Tunnel:
    kind, name, *rest = line.split()
    if kind == "group":
        return Tunnel("igmp", f"multicast groups that the host has joined on {name}")
    source = "" if rest[0] == "any" else rest[0]
    return (
        Tunnel(kind, "IPsec", source) if name == "-" else Tunnel(_KINDS[kind], f"the tunnel {name}", source)
    )


def _route(line: str) -> tuple[IPv6Network, str]:
    to, device = line.split()
    return IPv6Network(to), device

"""Surroundings: which IPv4 ranges lie around the host, asked within MachineFact, so that Docker's networks take none of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, ip_address

from tasks.model.subnets import Claim

# A route to more than this is one to everybody: VPNs write 0.0.0.0/1 and 128.0.0.0/1 for it.
_EVERYBODY = 7
# Who logs in from a private address may do so from one beside it tomorrow.
_NEIGHBOURS = 24
# What goes nowhere takes nothing from anybody.
_NOWHERE = {"blackhole", "unreachable", "prohibit", "throw", "broadcast", "multicast"}
# The tables that Docker looks at: the main one, which is not named, and what follows from addresses.
_SEEN = ("", "local")
_TYPES = {*_NOWHERE, "unicast", "local", "anycast", "nat"}


@dataclass(frozen=True)
class Route:
    """One IPv4 route of any table; ``everybody``: the default, or half of it. mtu: 0 where it says none."""

    to: IPv4Network
    device: str
    everybody: bool
    mtu: int = 0
    table: str = ""


@dataclass(frozen=True)
class Surroundings:
    """mtus: interface → MTU. addresses: interface and range. ssh: who is logged in, or runs this. tunnels: ranges
    behind IPsec and WireGuard.
    """

    mtus: Mapping[str, int] = field(default_factory=dict)
    addresses: tuple[tuple[str, IPv4Network], ...] = ()
    routes: tuple[Route, ...] = ()
    resolvers: tuple[IPv4Address, ...] = ()
    ssh: tuple[IPv4Address, ...] = ()
    tunnels: tuple[IPv4Network, ...] = ()

    def claims(self, bridges: frozenset[str] = frozenset()) -> Iterator[Claim]:
        """Every range that is somebody's, but those of Docker's own bridges."""
        own = [network for device, network in self.addresses if device in bridges]
        for address in self.ssh:
            # Behind a bridge that is up it can only be a container: anybody else there would not be heard.
            if not any(address in network for network in own):
                around = IPv4Network((address, _NEIGHBOURS), strict=False)
                yield Claim(around, f"{address}, from where somebody is logged in over SSH", unseen=True)
        for resolver in self.resolvers:
            if not any(resolver in network for network in own):
                yield Claim(IPv4Network(resolver), f"the resolver {resolver}")
        for device, network in self.addresses:
            if device not in bridges:
                yield Claim(network, f"{device}'s own network {network}")
        for route in self.routes:
            if route.device not in bridges and not route.everybody:
                over = f" over {route.device}" if route.device else ""
                yield Claim(route.to, f"the route to {route.to}{over}", unseen=route.table not in _SEEN)
        for network in self.tunnels:
            yield Claim(network, f"the VPN's range {network}", unseen=True)

    def mtu(self, interfaces: Sequence[str]) -> int:
        """The smallest of these interfaces' and of the default routes' over them; 0 when nothing is known."""
        found = [self.mtus[name] for name in interfaces if name in self.mtus]
        found += [
            item.mtu for item in self.routes if item.everybody and item.mtu and item.device in interfaces
        ]
        return min(found, default=0)


# The addresses that somebody is logged in from: sudo forgets SSH_CONNECTION, and others are logged in, too.
QUESTION = r"""
[ -z "$SSH_CONNECTION" ] || echo "ssh ${SSH_CONNECTION%% *}"
command -v ss >/dev/null && ss -Htnp state established 2>/dev/null | awk '/"sshd/ {sub(/:[0-9]+$/, "", $4); print "ssh", $4; fflush()}' &
ip -o link show 2>/dev/null | sed -un 's/^[0-9]*: \([^:@]*\)[@:].* mtu \([0-9]*\) .*/mtu \1 \2/p' &
ip -o -4 address show 2>/dev/null | sed -un 's/^[0-9]*: *\([^ ]*\) *inet \(.*\)/inet \1 \2/p' &
ip -o -4 route show table all 2>/dev/null | sed -u 's/^/route /' &
ip -4 xfrm policy 2>/dev/null | sed -un 's/^src \([^ ]*\) dst \([^ ]*\).*/tunnel \1 \2/p' &
command -v wg >/dev/null && wg show all allowed-ips 2>/dev/null | awk '{for (i = 3; i <= NF; i++) print "tunnel", $i; fflush()}' &
sed -un 's/^nameserver[[:blank:]]*\([^[:blank:]]*\).*/resolver \1/p' /etc/resolv.conf /run/systemd/resolve/resolv.conf 2>/dev/null
""".strip()


def surroundings(values: Mapping[str, Sequence[str]]) -> Surroundings:
    """What MachineFact's lines say of it: key → values. Raises ValueError for lines that no host prints."""
    mtus = dict(line.split() for line in values.get("mtu", ()))
    return Surroundings(
        mtus={name: int(mtu) for name, mtu in mtus.items()},
        addresses=tuple(found for line in values.get("inet", ()) for found in _address(line.split())),
        routes=tuple(found for line in values.get("route", ()) for found in _route(line.split())),
        resolvers=_hosts(values.get("resolver", ())),
        ssh=_hosts(values.get("ssh", ())),
        tunnels=tuple(
            dict.fromkeys(
                network
                for line in values.get("tunnel", ())
                for word in line.split()
                if ":" not in word and (network := IPv4Network(word)).prefixlen > _EVERYBODY
            )
        ),
    )


def _address(words: list[str]) -> Iterator[tuple[str, IPv4Network]]:
    """``eth0 10.0.0.2/24 brd …`` or, on a tunnel, ``tun0 10.8.0.2 peer 10.8.0.1/32 …``."""
    device, address, *rest = words
    network = IPv4Network(address, strict=False)
    if not network.is_loopback:
        yield device, network
    if rest[:1] == ["peer"]:
        yield device, IPv4Network(rest[1], strict=False)


def _route(words: list[str]) -> Iterator[Route]:
    kind, to, *rest = words if words[0] in _TYPES else ("unicast", *words)
    network = IPv4Network("0.0.0.0/0" if to == "default" else to)
    device = _after("dev", rest)
    if kind in _NOWHERE or device == "lo":
        return
    mtu = _after("mtu", [word for word in rest if word != "lock"])
    yield Route(network, device, network.prefixlen <= _EVERYBODY, int(mtu or 0), _after("table", rest))


def _after(word: str, words: list[str]) -> str:
    return words[words.index(word) + 1] if word in words else ""


def _hosts(lines: Sequence[str]) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses among them, also where they are written as IPv6; of this machine's own none."""
    found: dict[IPv4Address, None] = {}
    for line in lines:
        try:
            address: IPv4Address | IPv6Address | None = ip_address(line.strip("[]").partition("%")[0])
        except (AddressValueError, ValueError):
            continue
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped
        if address and not address.is_loopback and not address.is_unspecified:
            found[address] = None
    return tuple(found)

"""Routes: a network behind one host of a lab, which reaches another host through it, over IPv4 and IPv6.

All of it is in the hosts' own network namespaces: the lab's bridge passes IPv6 from host to host as it is.
"""

from tests.lab.hosts import LabHost

# Runs a command behind the router.
FAR = "ip netns exec far "
_FAR_V4, _FAR_V6 = "198.18.0", "fd98:"


def v6(host: LabHost) -> str:
    """10.213.7.11 → fd10:213:7::11, as tests/lab/images/host/boot.sh gives it."""
    *network, number = host.address.split(".")
    return f"fd{':'.join(network)}::{number}"


def make_router(router: LabHost) -> None:
    """``router`` routes for the namespace ``far`` behind it. Twice is as good as once."""
    router.run(f"""
set -e
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
[ ! -e /run/netns/far ] || ip netns del far
ip netns add far
ip link add near type veth peer name far netns far
echo 0 >/proc/sys/net/ipv6/conf/near/disable_ipv6
ip addr add {_FAR_V4}.1/30 dev near
ip addr add {_FAR_V6}:1/64 dev near nodad
ip link set near up
ip -n far addr add {_FAR_V4}.2/30 dev far
ip -n far addr add {_FAR_V6}:2/64 dev far nodad
ip -n far link set far up
ip -n far route add default via {_FAR_V4}.1
ip -n far -6 route add default via {_FAR_V6}:1
""")


def make_way_back(host: LabHost, router: LabHost) -> None:
    """``host`` answers what comes through ``router``. Gone after a reboot."""
    host.run(f"""
set -e
ip route replace {_FAR_V4}.0/30 via {router.address}
ip -6 route replace {_FAR_V6}:/64 via {v6(router)}
""")


def unmake_way_back(host: LabHost, router: LabHost) -> None:
    """``host`` without those routes."""
    host.run(f"""
ip route del {_FAR_V4}.0/30 via {router.address}
ip -6 route del {_FAR_V6}:/64 via {v6(router)}
true
""")


def by_way_of(router: LabHost, host: LabHost, addresses: list[str]) -> None:
    """``router`` sends what is for these addresses to ``host``, as if that were its gateway."""
    router.run("\n".join(f"ip route replace {address}/32 via {host.address}" for address in addresses))

"""Who is around the host: Docker's networks get no range of theirs."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

TUNNEL = "ip link add tun9 type veth peer name tun8 && ip link set tun8 up && ip link set tun9 mtu 1300 up"
GONE = "ip link delete tun9"
POOLS = ("10.207.0.0/16", "172.28.0.0/16", "192.168.208.0/20")
OURS = "docker network create --label smarteros.network=yes --subnet {} {} >/dev/null"

CONDITIONS = [
    Condition("nobody around", said=("smarter-net: does not exist: 10.207.0.0/24",)),
    Condition(
        "a VPN's route, in a table of its own",
        f"{TUNNEL} && ip route add 10.207.0.0/17 dev tun9 table 77",
        GONE,
        said=("smarter-net: does not exist: 172.28.0.0/24", "tenants-net: does not exist: 172.28.1.0/24"),
    ),
    Condition(
        "a VPN that everything goes through",
        f"{TUNNEL} && ip route add 0.0.0.0/1 dev tun9 table 77 && ip route add 128.0.0.0/1 dev tun9 table 77",
        GONE,
        said=("smarter-net: does not exist: 10.207.0.0/24",),
    ),
    Condition(
        "a blackhole for all private ranges",
        "ip route add blackhole 10.207.0.0/16",
        "ip route delete blackhole 10.207.0.0/16",
        said=("smarter-net: does not exist: 10.207.0.0/24",),
    ),
    Condition(
        "a resolver in the first range",
        "cp /etc/resolv.conf /run/resolv.before && echo 'nameserver 10.207.0.53' >>/etc/resolv.conf",
        "cat /run/resolv.before >/etc/resolv.conf",
        said=("smarter-net: does not exist: 10.207.1.0/24",),
    ),
    Condition(
        "an interface in the first ranges",
        f"{TUNNEL} && ip address add 10.207.0.9/23 dev tun9",
        GONE,
        said=("smarter-net: does not exist: 10.207.2.0/24", "tenants-net: does not exist: 10.207.3.0/24"),
    ),
    Condition(
        "a point-to-point tunnel",
        f"{TUNNEL} && ip address add 10.207.0.2 peer 10.207.1.1 dev tun9",
        GONE,
        said=("smarter-net: does not exist: 10.207.2.0/24",),
    ),
    Condition(
        "an operator's own Docker network in the first range",
        "docker network create --subnet 10.207.0.0/24 theirs >/dev/null",
        "docker network rm theirs >/dev/null",
        said=("smarter-net: does not exist: 10.207.1.0/24",),
    ),
    Condition(
        "no range left",
        " && ".join([TUNNEL, *(f"ip route add {pool} dev tun9" for pool in POOLS)]),
        GONE,
        refused=(
            "network_pools: no range is left for smarter-net, all are taken: "
            + ", ".join(f"{pool} (the route to {pool} over tun9)" for pool in POOLS)
            + ": name another private range",
        ),
    ),
    Condition(
        "a range of the operator's choice",
        f"{TUNNEL} && ip route add 10.0.0.0/8 dev tun9",
        GONE,
        said=("smarter-net: does not exist: 100.64.0.0/24",),
        settings={"network_pools": ["10.42.0.0/16", "100.64.0.0/16"]},
    ),
    Condition(
        "a range that is public",
        said=(
            "network_pools: 192.0.96.0/20 is public: neither host nor containers reach those whose it is",
            "smarter-net: does not exist: 192.0.96.0/24",
        ),
        settings={"network_pools": ["192.0.96.0/20"]},
    ),
    Condition(
        "a network of the release before, which somebody has taken since",
        f"{OURS.format('172.31.5.0/24', 'tenants-net')}; {TUNNEL} && ip route add 172.31.0.0/16 dev tun9 table 77",
        f"docker network rm tenants-net >/dev/null && {GONE}",
        said=(
            (
                "tenants-net: 172.31.5.0/24 is taken, too, by the route to 172.31.0.0/16 over tun9: "
                "10.207.1.0/24"
            ),
        ),
    ),
    Condition(
        "a network whose MTU the link no longer has",
        f"{OURS.format('10.207.7.0/24', 'tenants-net')}; ip link set eth0 mtu 1420",
        "ip link set eth0 mtu 1500; docker network rm tenants-net >/dev/null",
        said=("tenants-net: its MTU is 1500, and the way out has 1420: 10.207.7.0/24",),
    ),
    Condition(
        "a way out whose route alone is narrow",
        (
            f"{OURS.format('10.207.7.0/24', 'tenants-net')}; "
            "ip route change $(ip -4 route show default | sed 's/ mtu .*//') mtu 1400"
        ),
        (
            "ip route change $(ip -4 route show default | sed 's/ mtu .*//'); "
            "docker network rm tenants-net >/dev/null"
        ),
        said=("tenants-net: its MTU is 1500, and the way out has 1400: 10.207.7.0/24",),
    ),
    Condition(
        "a way out over IPv6 alone",
        "ip -4 route show default >/run/default.before; ip -4 route delete default; ip -6 route add default dev eth0",
        "ip -6 route delete default dev eth0; ip -4 route add $(cat /run/default.before)",
        said=("smarter-net: does not exist: 10.207.0.0/24",),
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_no_network_takes_what_is_somebodys(odd: Deployment, condition: Condition) -> None:
    check(odd, condition)

"""Guests that the world reaches through a host without a port that listens there: a plan names each, or refuses."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check
from tests.hosts.test_listeners import HEAD

FEW = {"services": ["vault", "postgres", "redis", "n8n", "vault-auth-validator", "caddy"]}
GUESTS = (
    "firewall: the world no longer reaches these addresses behind the host; to keep one reachable, add what stands "
    "behind it to `guests`:"
)
LEAD = "iptables -t nat -{} PREROUTING -i eth0 -p tcp -m multiport --dports 2222,8000:8010 -j DNAT --to-destination 192.168.122.10"
WHOLE = "iptables -t nat -{} PREROUTING -d 192.0.96.9 -j DNAT --to-destination 192.168.122.11"
LED = "led on to 192.168.122.10 (iptables -t nat, PREROUTING)"
BRIDGE = "ip link add br9 type bridge && ip address add {} dev br9 && ip link set br9 up"
GONE = "ip link delete br9"
GUEST = (
    " && ip link add vnet9 type veth peer name inside9 && ip netns add guest9 && ip link set inside9 netns guest9"
    " && ip link set vnet9 master br9 up"
)

CONDITIONS = [
    Condition(
        "ports that are led on to a virtual machine",
        LEAD.format("A"),
        LEAD.format("D"),
        said=(
            HEAD,
            f'tcp 2222: {LED}: {{"port": 2222}}',
            f'tcp 8000-8010: {LED}: {{"port": "8000-8010"}}',
        ),
        settings=FEW,
    ),
    Condition(
        "an address that is led on as a whole",
        WHOLE.format("A"),
        WHOLE.format("D"),
        said=(GUESTS, '192.0.96.9, led on to 192.168.122.11 (iptables -t nat, PREROUTING): "192.0.96.9"'),
        settings=FEW,
    ),
    Condition(
        "a range that is routed to virtual machines",
        BRIDGE.format("192.0.96.1/29"),
        GONE,
        said=(GUESTS, '192.0.96.0/29 over br9: "192.0.96.0/29"'),
        settings=FEW,
    ),
    Condition(
        "guests on the bridge that faces the world",
        BRIDGE.format("10.77.0.1/24") + GUEST,
        f"{GONE}; ip netns delete guest9",
        refused=(
            (
                "firewall: guests share the bridge br9 with the host (vnet9), and firewalls see what is bridged to them, so that "
                "Docker's and ours would cut them off: put br_netfilter into /etc/modules-load.d/br_netfilter.conf, and "
                "net.bridge.bridge-nf-call-iptables = 0 and net.bridge.bridge-nf-call-ip6tables = 0 into "
                "/etc/sysctl.d/br_netfilter.conf, then `modprobe br_netfilter; sysctl --system`"
            ),
        ),
        settings={**FEW, "wan_interfaces": ["br9"]},
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_what_the_world_no_longer_reaches_behind_the_host(odd: Deployment, condition: Condition) -> None:
    check(odd, condition)

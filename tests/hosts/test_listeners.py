"""Listeners that the firewall cuts off from the world: a plan names each, with the setting that keeps it open."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check
from tests.hosts.listening import PID, STOP, listen

FEW = {"services": ["vault", "postgres", "redis", "n8n", "vault-auth-validator", "caddy"]}
HEAD = (
    "firewall: the world no longer reaches these ports of the host; to keep one open, add what stands behind it to "
    "`open_ports`:"
)
ADDRESS = r"ip -4 -o addr show dev eth0 | sed 's/.* inet \([^/]*\).*/\1/'"
BARE = [
    Condition(
        "a shop on every address, a game on UDP",
        listen("tcp:0.0.0.0:8443", "tcp:[::]:8443", "udp:0.0.0.0:27015"),
        STOP,
        said=(
            HEAD,
            'tcp 8443 on 0.0.0.0 and [::]: python3 ({pid}, shop.service): {{"port": 8443}}',
            'udp 27015 on 0.0.0.0: python3 ({pid}, shop.service): {{"port": 27015, "protocol": "udp"}}',
        ),
        values=PID,
        settings=FEW,
    ),
    Condition(
        "a failover by VRRP, a router by OSPF",
        listen("raw:0.0.0.0:112", "raw:[::]:89"),
        STOP,
        said=(
            HEAD,
            'ospf on *: python3 ({pid}, shop.service): {{"protocol": "ospf"}}',
            'vrrp on 0.0.0.0: python3 ({pid}, shop.service): {{"protocol": "vrrp"}}',
        ),
        values=PID,
        settings=FEW,
    ),
    Condition(
        "a game of which one port is kept open",
        listen("udp:0.0.0.0:27015", "udp:0.0.0.0:27016"),
        STOP,
        said=(
            HEAD,
            'udp 27016 on 0.0.0.0: python3 ({pid}, shop.service): {{"port": 27016, "protocol": "udp"}}',
        ),
        values=PID,
        settings={**FEW, "open_ports": [{"port": "27000-27015", "protocol": "udp"}]},
    ),
    Condition(
        "a database on the address that faces the world",
        f"address=$({ADDRESS})\n{listen('tcp:ADDRESS:3306')}".replace("ADDRESS", "$address"),
        STOP,
        said=('tcp 3306 on {address}: python3 ({pid}, shop.service): {{"port": 3306}}',),
        values={**PID, "address": ADDRESS},
        settings=FEW,
    ),
]
CONTAINER = Condition(
    "a container that publishes a port past every firewall of the host's own",
    "docker run -d --rm --name desk -p 9000:6379 -p 127.0.0.1:9001:6379 redis:7.4.11-alpine >/dev/null",
    "docker rm -f desk >/dev/null",
    said=(HEAD, 'tcp 9000 on 0.0.0.0 and [::]: container desk: {"port": 9000}'),
    settings=FEW,
)


@pytest.mark.parametrize("condition", BARE, ids=str)
def test_a_process_that_the_world_no_longer_reaches(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)


def test_a_container_that_the_world_no_longer_reaches(odd: Deployment) -> None:
    check(odd, CONTAINER)

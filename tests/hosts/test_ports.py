"""Ports of ours that somebody else holds: each is named with who it is and what to do, before anything changes."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check
from tests.hosts.listening import PID, STOP, listen

FEW = {"services": ["vault", "postgres", "redis", "n8n", "vault-auth-validator", "caddy"]}
SHOP = "taken by the process python3 ({pid}, shop.service): stop it (systemctl disable --now shop.service)"
SOCKET = "/run/systemd/system/desk.socket"
RUN = "docker run -d --rm --name desk {} redis:7.4.11-alpine >/dev/null"
REMOVE = "docker rm -f desk >/dev/null"

PROCESSES = [
    Condition(
        "a program on Vault's port, for itself alone",
        listen("tcp:127.0.0.1:8200"),
        STOP,
        refused=(f"port 8200: {SHOP}",),
        values=PID,
    ),
    Condition(
        "a program on every address of version 4",
        listen("tcp:0.0.0.0:5678"),
        STOP,
        refused=(f"port 5678: {SHOP}, or give ours another (`overrides.n8n.port`)",),
        values=PID,
    ),
    Condition(
        "and ours on another port",
        listen("tcp:0.0.0.0:5678"),
        STOP,
        settings={**FEW, "overrides": {"n8n": {"port": 15678}}},
    ),
    Condition(
        "a web server for the host alone, on HTTP/3's port too",
        listen("tcp:127.0.0.1:80", "udp:0.0.0.0:443"),
        STOP,
        refused=(f"port 80: {SHOP}", f"port 443/udp: {SHOP}"),
        values=PID,
    ),
    Condition(
        "a web server of version 6 alone",
        listen("tcp:[::]:443"),
        STOP,
        refused=(f"port 443: {SHOP}",),
        values=PID,
    ),
    Condition(
        "a program on a port of ours, on another version and another address",
        listen("tcp:[::]:8200", "tcp:127.0.0.2:3100"),
        STOP,
        settings=FEW,
    ),
    Condition(
        "a socket that systemd keeps for a program that has not run yet",
        f"printf '[Socket]\\nListenStream=0.0.0.0:8069\\n' >{SOCKET}; cp {SOCKET} {SOCKET[:-7]}.service;"
        f" printf '[Service]\\nExecStart=/bin/true\\n' >{SOCKET[:-7]}.service;"
        " systemctl daemon-reload; systemctl start desk.socket",
        f"systemctl stop desk.socket; rm {SOCKET[:-7]}.*; systemctl daemon-reload",
        refused=(
            (
                "port 8069: taken by the process systemd (1, desk.socket): stop it "
                "(systemctl disable --now desk.socket), or give ours another (`overrides.odoo.port`)"
            ),
        ),
    ),
]
CONTAINERS = [
    Condition(
        "a container on a port of ours, for the host alone",
        RUN.format("-p 127.0.0.1:3100:6379"),
        REMOVE,
        refused=(
            (
                "port 3100: taken by the container desk: stop it (docker stop desk), "
                "or give ours another (`overrides.chatwoot.port`)"
            ),
        ),
    ),
    Condition(
        "a container with a range of ports, Vault's and the web's among them",
        RUN.format("-p 8200-8202:8200-8202 -p 443:443/udp"),
        REMOVE,
        refused=(
            (
                "port 443/udp: taken by the container desk: stop it (docker stop desk), "
                'or set takeover = "desk" to have it replaced'
            ),
            "port 8200: taken by the container desk: stop it (docker stop desk)",
        ),
    ),
]


@pytest.mark.parametrize("condition", PROCESSES, ids=str)
def test_a_process_in_the_way(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)


@pytest.mark.parametrize("condition", CONTAINERS, ids=str)
def test_a_container_in_the_way(odd: Deployment, condition: Condition) -> None:
    check(odd, condition)

"""Ports: the exact line for each port of ours that somebody else holds, and none where it is ours or does not collide."""

from typing import Any

import pytest

from tasks.facts import Machine
from tasks.facts.listeners import Listener, Published
from tasks.operations import ports
from tasks.services import load
from tests.samples import stack

CHOSEN = load(stack())
NAMES = frozenset(("caddy", "vault", "n8n"))


def taken(*accepted: str, **found: Any) -> list[str]:
    return list(ports.taken(Machine(**found), CHOSEN, NAMES, frozenset(accepted)))


def listens(address: str, port: int, process: str = "nginx", unit: str = "nginx.service") -> dict[str, Any]:
    return {"listeners": (Listener("tcp", address, port, process, 911 if process else 0, unit),)}


def test_all_ports_of_ours_are_known_with_the_setting_that_moves_them() -> None:
    assert [(item.port, item.protocol, item.address, item.setting) for item in ports.own(CHOSEN)] == [
        (80, "tcp", "*", ""),
        (443, "tcp", "*", ""),
        (443, "udp", "*", ""),
        (3100, "tcp", "127.0.0.1", "overrides.chatwoot.port"),
        (3200, "tcp", "127.0.0.1", "overrides.botpress.port"),
        (5678, "tcp", "127.0.0.1", "overrides.n8n.port"),
        (8069, "tcp", "127.0.0.1", "overrides.odoo.port"),
        (8200, "tcp", "127.0.0.1", ""),
    ]


NGINX = "taken by the process nginx (911, nginx.service): stop it (systemctl disable --now nginx.service)"


@pytest.mark.parametrize(
    ("address", "port", "lines"),
    [
        ("0.0.0.0", 80, [f"port 80: {NGINX}"]),
        ("127.0.0.1", 80, [f"port 80: {NGINX}"]),
        ("::", 443, [f"port 443: {NGINX}"]),
        ("10.0.0.7", 443, [f"port 443: {NGINX}"]),
        ("*", 8200, [f"port 8200: {NGINX}"]),
        ("0.0.0.0", 8200, [f"port 8200: {NGINX}"]),
        ("127.0.0.1%lo", 8200, [f"port 8200: {NGINX}"]),
        ("127.0.0.1", 8069, [f"port 8069: {NGINX}, or give ours another (`overrides.odoo.port`)"]),
        ("10.0.0.7", 8200, []),
        ("::1", 8200, []),
        ("::", 8200, []),
        ("0.0.0.0", 8080, []),
    ],
)
def test_a_process_is_named_where_it_is_in_the_way(address: str, port: int, lines: list[str]) -> None:
    assert taken(**listens(address, port)) == lines


@pytest.mark.parametrize(
    ("process", "unit", "said"),
    [
        (
            "cockpit-tls",
            "cockpit.socket",
            "911, cockpit.socket): stop it (systemctl disable --now cockpit.socket)",
        ),
        (
            "node",
            "session-3.scope",
            "911, session-3.scope): stop it and what starts it (systemctl status 911 names it)",
        ),
        ("node", "", "911): stop it and what starts it (systemctl status 911 names it)"),
    ],
)
def test_what_to_do_is_what_stops_it(process: str, unit: str, said: str) -> None:
    assert taken(**listens("*", 80, process, unit)) == [f"port 80: taken by the process {process} ({said}"]


def test_a_process_of_somebody_else_is_not_seen_without_root() -> None:
    assert taken(**listens("*", 80, "", "")) == [
        "port 80: taken by a process that this login may not see: stop it"
    ]


def test_http_3_has_its_own_port() -> None:
    listener = Listener("udp", "*", 443, "nginx", 911)
    assert taken(listeners=(listener,)) == [
        "port 443/udp: taken by the process nginx (911): stop it and what starts it (systemctl status 911 names it)"
    ]


def test_a_container_that_is_not_ours_is_named_and_not_its_proxy() -> None:
    published = (
        Published("traefik", "", "tcp", "0.0.0.0", 80, 80),
        Published("web", "shop", "tcp", "0.0.0.0", 8000, 8300),
        Published("flows", "", "tcp", "127.0.0.1", 5678, 5678),
    )
    found = {"published": published, **listens("0.0.0.0", 80, "docker-proxy")}
    assert taken(**found) == [
        'port 80: taken by the container traefik: stop it (docker stop traefik), or set takeover = "traefik" to have it replaced',
        (
            "port 5678: taken by the container flows: stop it (docker stop flows), "
            "or give ours another (`overrides.n8n.port`)"
        ),
        (
            "port 8069: taken by the container web: stop it (docker stop web), "
            "or give ours another (`overrides.odoo.port`)"
        ),
        "port 8200: taken by the container web: stop it (docker stop web)",
    ]
    assert taken("traefik", **{**found, "published": published[:1]}) == []


def test_ours_are_not_in_their_own_way() -> None:
    published = (
        Published("caddy-proxy", "caddy", "tcp", "0.0.0.0", 80, 80),
        Published("vault", "vault", "tcp", "127.0.0.1", 8200, 8200),
    )
    listeners = (
        Listener("tcp", "0.0.0.0", 80, "docker-proxy", 911),
        Listener("tcp", "127.0.0.1", 8200, "docker-proxy", 912),
    )
    assert taken(published=published, listeners=listeners) == []

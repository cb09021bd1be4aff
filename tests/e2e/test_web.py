"""Web: what users meet at the edge: certificates, protocols, compression, access logs."""

import gzip
import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from cryptography import x509

from tests.e2e.clients import browser, http3, loopback, n8n_owner, secrets, trust
from tests.e2e.deployment import Deployment
from tests.e2e.visitors import visiting
from tests.e2e.websockets import TEXT, connected, pong
from tests.lab import smarteros

# Domain → a path that only its own service knows, and what it answers there at least.
ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "crm.smarterbot.cl": ("/health", {"status": "woot"}),
    "bot.smarterbot.cl": (
        "/status",
        {"botpress": "up", "nlu": "up"},
    ),  # nlu: Studio's modules can be loaded, and Duckling answers
    "n8n.smarterbot.cl": ("/healthz", {"status": "ok"}),
    "erp.smarterbot.cl": ("/web/health", {"status": "pass"}),
    "kpi.smarterbot.cl": ("/api/session/properties", {"has-user-setup": True}),
    "kpi.smarterbot.store": ("/api/session/properties", {"has-user-setup": True}),
    "mcp.smarterbot.cl": ("/v0/health", {"status": "ok"}),
    "mcp.smarterbot.store": ("/v0/health", {"status": "ok"}),
    "dokploy.smarterbot.cl": ("/api/health", {"ok": True}),
    "dokploy.smarterbot.store": ("/api/health", {"ok": True}),
    "api.smarterbot.cl": ("/health", {"status": "ok"}),
    "api.smarterbot.store": ("/health", {"status": "ok"}),
}
DOMAINS = [*ANSWERS]


def certificate(deployment: Deployment, domain: str) -> x509.Certificate:
    """What Caddy shows for a name, checked against the ACME server's root."""
    with (
        socket.create_connection((deployment.host.address, 443), timeout=20) as plain,
        trust(deployment).wrap_socket(plain, server_hostname=domain) as tls,
    ):
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


def test_these_are_the_domains() -> None:
    assert smarteros.domains() == DOMAINS


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_domain_has_its_certificate_from_the_acme_server(deployed: Deployment, domain: str) -> None:
    shown = certificate(deployed, domain)
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [domain]
    assert "Pebble Intermediate CA" in shown.issuer.rfc4514_string()


def test_an_unknown_name_gets_no_certificate(deployed: Deployment) -> None:
    with pytest.raises(ssl.SSLError, match="TLSV1_ALERT_INTERNAL_ERROR"):
        certificate(deployed, "unknown.smarterbot.cl")


@pytest.mark.parametrize("domain", DOMAINS)
def test_http_is_redirected_to_https(deployed: Deployment, domain: str) -> None:
    answer = browser(deployed).get(f"http://{domain}/a?b=1")
    assert (answer.status_code, answer.headers["location"]) == (308, f"https://{domain}/a?b=1")


@pytest.mark.parametrize("domain", DOMAINS)
def test_its_own_service_answers_over_http_2_and_3(deployed: Deployment, domain: str) -> None:
    path, wanted = ANSWERS[domain]
    second = browser(deployed, http2=True).get(f"https://{domain}{path}")
    assert (second.http_version, second.status_code) == ("HTTP/2", 200)
    assert second.headers["alt-svc"] == 'h3=":443"; ma=2592000'
    status, third = http3(deployed, domain, path)
    assert status == 200
    for answer in (second.json(), json.loads(third)):
        assert {name: answer.get(name) for name in wanted} == wanted


def test_browsers_are_told_to_stay_on_https(deployed: Deployment) -> None:
    headers = browser(deployed).get("https://api.smarterbot.cl/").headers
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


def test_gzip_and_zstd_are_applied_when_asked_for(deployed: Deployment) -> None:
    # n8n packs its pages itself, from 1024 bytes on; Caddy from 512 on: what lies between is packed by Caddy.
    url = "https://n8n.smarterbot.cl/rest/" + "x" * 600
    plain, packed = [raw(deployed, url, encoding) for encoding in ("identity", "gzip")]
    assert 512 < len(plain[1]) < 1024
    assert plain[0] is None
    assert (packed[0], gzip.decompress(packed[1])) == ("gzip", plain[1])
    name, body = raw(deployed, url, "zstd")
    assert (name, body[:4]) == ("zstd", bytes.fromhex("28b52ffd"))


def raw(deployment: Deployment, url: str, encoding: str) -> tuple[str | None, bytes]:
    """Content-Encoding and body as they come."""
    with browser(deployment).stream("POST", url, headers={"Accept-Encoding": encoding}) as answer:
        return answer.headers.get("content-encoding"), b"".join(answer.iter_raw())


def test_each_domain_has_its_own_access_log(deployed: Deployment) -> None:
    marker = f"/{os.urandom(8).hex()}"
    hidden = {"X-Vault-Token": "s.canary", "Authorization": "Bearer canary", "Cookie": "a=canary"}
    asked = {
        domain: browser(deployed).get(f"https://{domain}{marker}", headers=hidden).status_code
        for domain in DOMAINS
    }
    found = deployed.sh(f"docker exec caddy-proxy grep -rF {marker} /var/log/caddy")
    lines = [line.split(":", 1) for line in found.splitlines()]
    entries = [(path.removeprefix("/var/log/caddy/"), json.loads(entry)) for path, entry in lines]
    assert {
        (path, entry["request"]["host"], entry["request"]["uri"], entry["status"]) for path, entry in entries
    } == {(f"{domain}.log", domain, marker, status) for domain, status in asked.items()}
    assert "canary" not in found


def test_access_logs_are_rotated(deployed: Deployment) -> None:
    config = "docker exec caddy-proxy wget -q -O - http://127.0.0.1:2019/config/"
    loggers = json.loads(deployed.sh(config))["logging"]["logs"].values()
    writers = [logger["writer"] for logger in loggers if "writer" in logger]
    assert sorted(writers, key=lambda writer: DOMAINS.index(file_of(writer))) == [
        {
            "output": "file",
            "filename": f"/var/log/caddy/{domain}.log",
            "roll_size_mb": 20,
            "roll_keep": 5,
        }
        for domain in DOMAINS
    ]


def file_of(writer: dict[str, Any]) -> str:
    return str(writer["filename"]).removeprefix("/var/log/caddy/").removesuffix(".log")


@contextmanager
def dokploy_owner(deployment: Deployment) -> Iterator[httpx.Client]:
    """A program with the API key from Vault."""
    with browser(deployment) as session:
        session.headers["x-api-key"] = secrets(deployment, "dokploy-import")["API_KEY"]
        yield session


@pytest.mark.parametrize(
    ("who", "url"),
    [
        (browser, "https://crm.smarterbot.cl/cable"),
        (browser, "https://bot.smarterbot.cl/socket.io/?EIO=4&transport=websocket"),
        (browser, "https://erp.smarterbot.cl/websocket"),
        (n8n_owner, "https://n8n.smarterbot.cl/rest/push?pushRef=t"),
    ],
    ids=["chatwoot", "botpress", "odoo", "n8n"],
)
def test_a_websocket_reaches_the_service(deployed: Deployment, who: Any, url: str) -> None:
    with who(deployed) as session, connected(session, url) as socket:
        assert pong(*socket) == b"ping"


@pytest.mark.parametrize("zone", ["smarterbot.cl", "smarterbot.store"])
def test_dokploys_terminal_answers_under_both_its_names(deployed: Deployment, zone: str) -> None:
    url = f"https://dokploy.{zone}/docker-container-terminal?containerId=n8n&activeWay=sh"
    name = deployed.sh("docker inspect --format '{{.Config.Hostname}}' n8n").strip()
    with dokploy_owner(deployed) as session, connected(session, url) as (send, frames):
        kind, prompt = next(frames)
        assert (kind, prompt.startswith(name.encode())) == (TEXT, True)
        assert pong(send, frames) == b"ping"


def test_a_websocket_reaches_odoo_over_the_hosts_loopback(deployed: Deployment) -> None:
    with (
        loopback(deployed.host, 8069) as port,
        httpx.Client(timeout=20, trust_env=False) as session,
        connected(session, f"http://127.0.0.1:{port}/websocket") as socket,
    ):
        assert pong(*socket) == b"ping"


def test_visitors_only_wait_while_the_proxy_is_replaced(deployed: Deployment) -> None:
    with visiting(deployed, "https://mcp.smarterbot.cl/v0/health") as visits:
        run = deployed.converge(overrides={"caddy": {"environment": {"LATER": "yes"}}})
        assert "Proxy | Caddy" in run.changes
        deployed.converge()
    assert set(visits.answers) == {"200"}, visits
    assert visits.answers["200"] > 50
    assert "elements" not in deployed.sh("nft list set inet smarter_fw held")
    deployed.unchanged()


def test_a_lost_proxy_container_costs_no_certificate(deployed: Deployment) -> None:
    orders = deployed.lab.acme_orders()
    before = [certificate(deployed, domain).serial_number for domain in DOMAINS]
    deployed.sh("docker rm -f caddy-proxy")
    assert deployed.converge().changes == ["Proxy | Caddy"]
    assert [certificate(deployed, domain).serial_number for domain in DOMAINS] == before
    assert deployed.lab.acme_orders() == orders
    deployed.unchanged()

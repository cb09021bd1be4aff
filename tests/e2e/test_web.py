"""Web: what users meet at the edge: certificates, protocols, compression, access logs."""

import base64
import gzip
import hashlib
import json
import os
import socket
import ssl
from typing import Any

import httpcore
import pytest
from cryptography import x509

from tests.e2e.clients import browser, http3, n8n_owner, trust
from tests.e2e.deployment import Deployment
from tests.lab import smarteros

DOMAINS = ["n8n.smarterbot.cl", "api.smarterbot.cl", "api.smarterbot.store"]
LOGS = "docker exec caddy-proxy cat /var/log/caddy"


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
def test_http_2_and_3_answer(deployed: Deployment, domain: str) -> None:
    path = "/healthz" if domain.startswith("n8n.") else "/health"
    second = browser(deployed, http2=True).get(f"https://{domain}{path}")
    answer = (second.http_version, second.status_code, second.content)
    assert answer == ("HTTP/2", 200, b'{"status":"ok"}')
    assert second.headers["alt-svc"] == 'h3=":443"; ma=2592000'
    assert http3(deployed, domain, path) == (200, b'{"status":"ok"}')


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


@pytest.mark.parametrize("domain", DOMAINS)
def test_each_domain_has_its_own_access_log(deployed: Deployment, domain: str) -> None:
    marker = f"/{os.urandom(8).hex()}"
    secrets = {"X-Vault-Token": "s.canary", "Authorization": "Bearer canary", "Cookie": "a=canary"}
    status = browser(deployed).get(f"https://{domain}{marker}", headers=secrets).status_code
    logs = {name: deployed.sh(f"{LOGS}/{name}.log") for name in DOMAINS}
    assert [name for name, text in logs.items() if marker in text] == [domain]
    entry = next(json.loads(line) for line in logs[domain].splitlines() if marker in line)
    assert (entry["request"]["host"], entry["request"]["uri"], entry["status"]) == (domain, marker, status)
    assert "canary" not in json.dumps(entry)


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


def test_a_websocket_reaches_n8n(deployed: Deployment) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    wanted = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Origin": "https://n8n.smarterbot.cl",
    }
    push = "https://n8n.smarterbot.cl/rest/push?pushRef=t"
    with n8n_owner(deployed) as owner, owner.stream("GET", push, headers=wanted) as answer:
        assert answer.status_code == 101
        assert answer.headers["sec-websocket-accept"] == accept(key)
        stream: httpcore.NetworkStream = answer.extensions["network_stream"]
        stream.write(b"\x89\x84\0\0\0\0ping", timeout=10)  # a masked ping frame, RFC 6455
        assert stream.read(64, timeout=10) == b"\x8a\x04ping"  # its pong


def accept(key: str) -> str:
    """The server's proof that it speaks WebSocket (RFC 6455, 4.2.2)."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    return base64.b64encode(digest).decode()


def test_a_lost_proxy_container_costs_no_certificate(deployed: Deployment) -> None:
    orders = deployed.lab.acme_orders()
    before = [certificate(deployed, domain).serial_number for domain in DOMAINS]
    deployed.sh("docker rm -f caddy-proxy")
    assert deployed.converge().changes == ["Proxy | Caddy"]
    assert [certificate(deployed, domain).serial_number for domain in DOMAINS] == before
    assert deployed.lab.acme_orders() == orders
    deployed.unchanged()

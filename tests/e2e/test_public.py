"""Public: behind a guard and allow_from, what others need goes on working, and nothing else is to be had."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.clients import browser, loopback, n8n_owner, service_token, trust
from tests.e2e.deployment import Deployment
from tests.e2e.test_web import certificate
from tests.e2e.vault_access import opened
from tests.e2e.websockets import connected
from tests.rendering.test_routes import FOOLING, METRICS

N8N = "https://n8n.smarterbot.cl"
MOVED = "servers.smarterbot.cl"
GUARDED = ("n8n", "chatwoot", "botpress", "odoo", "metabase")
FORGED = {"X-Vault-Display-Name": "root", "X-Vault-Policies": "root", "X-Vault-Spent": "Authorization"}


@pytest.fixture(scope="module")
def closed(deployed: Deployment) -> Iterator[Deployment]:
    """Five services behind the guard, Metabase open to this machine alone besides, Dokploy and the registry to others."""
    here = source(deployed)
    overrides: dict[str, Any] = {name: {"guard": True} for name in GUARDED}
    overrides["metabase"]["allow_from"] = [here]
    overrides["dokploy"] = {"allow_from": ["203.0.113.0/24"]}
    overrides["mcp-registry"] = {"allow_from": ["203.0.113.0/24"], "domain": MOVED}
    deployed.lab.point([MOVED], deployed.host)
    try:
        run = deployed.converge(overrides=overrides)
        assert run.changes == [
            "Generation | rendered files and their links",
            "Proxy | the Caddyfile is loaded",
        ]
        for name, path in STATUS.items():
            line = next(line for line in run.output.splitlines() if f"https://{name}/" in line)
            assert f" {path} " in line
        yield deployed
    finally:
        deployed.converge()


STATUS = {
    "crm.smarterbot.cl": 401,
    "bot.smarterbot.cl": 401,
    "n8n.smarterbot.cl": 401,
    "erp.smarterbot.cl": 401,
    "kpi.smarterbot.cl": 403,
    "kpi.smarterbot.store": 403,
    "dokploy.smarterbot.cl": 403,
    "dokploy.smarterbot.store": 403,
    MOVED: 403,
    "api.smarterbot.cl": 200,
}


@pytest.fixture(scope="module")
def token(deployed: Deployment) -> str:
    """A live Vault token."""
    with opened(deployed) as found:
        return service_token(found.client, "n8n")


def source(deployment: Deployment) -> str:
    """The address that this machine's connections to the host come from."""
    with socket.create_connection((deployment.host.address, 443), timeout=20) as connection:
        return str(connection.getsockname()[0])


def answer(deployment: Deployment, target: str) -> str:
    """All that n8n's domain answers to a GET whose target is sent as it is written."""
    name = "n8n.smarterbot.cl"
    with (
        socket.create_connection((deployment.host.address, 443), timeout=20) as plain,
        trust(deployment).wrap_socket(plain, server_hostname=name) as tls,
    ):
        tls.sendall(f"GET {target} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return tls.makefile("rb").read().decode(errors="replace")


def status(deployment: Deployment, target: str) -> int:
    """Its status."""
    return int(answer(deployment, target).split()[1])


def test_metrics_are_there_and_nobody_reads_them_through_the_proxy(deployed: Deployment) -> None:
    there = deployed.sh("docker exec caddy-proxy wget -q -O - http://n8n:5678/metrics")
    assert "n8n_version_info" in there
    # Odd ways to write it are answered by Caddy or, where n8n would take them for another path, by n8n's editor.
    assert {target: status(deployed, target) for target in METRICS} == dict.fromkeys(METRICS, 404)
    for target in ("/metrics#x", "/metrics;x", "/metrics%23", "/metrics%3fx", "/metrics%20", "/metrics\\"):
        assert "n8n_version_info" not in answer(deployed, target), target
    with loopback(deployed.host, 5678) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=20, trust_env=False).status_code == 404


@contextmanager
def echo_workflow(deployment: Deployment, token: str) -> Iterator[str]:
    """A workflow of the owner's that answers a webhook with what it was sent; removed again."""
    node = {
        "id": "1",
        "name": "Webhook",
        "type": "n8n-nodes-base.webhook",
        "typeVersion": 2,
        "position": [0, 0],
        "webhookId": "5b1f8d2e-0000-4000-8000-000000000001",
        "parameters": {"path": "orders/new", "httpMethod": "POST", "responseMode": "lastNode", "options": {}},
    }
    workflow = {"name": "orders", "nodes": [node], "connections": {}, "settings": {}}
    with n8n_owner(deployment, token) as owner:
        made = owner.post(f"{N8N}/rest/workflows", json=workflow).raise_for_status().json()["data"]
        url = f"{N8N}/rest/workflows/{made['id']}"
        try:
            owner.post(f"{url}/activate", json={"versionId": made["versionId"]}).raise_for_status()
            hook = f"{N8N}/webhook/orders/new"
            # It is registered behind that answer.
            deadline = time.monotonic() + 30
            while browser(deployment).post(hook).status_code == 404 and time.monotonic() < deadline:
                time.sleep(0.2)
            yield hook
        finally:
            owner.post(f"{url}/deactivate")
            owner.post(f"{url}/archive").raise_for_status()
            # It is unpublished behind that answer: until then it cannot be deleted.
            deadline = time.monotonic() + 30
            while (gone := owner.delete(url)).status_code == 409 and time.monotonic() < deadline:
                time.sleep(0.2)
            gone.raise_for_status()


def test_a_webhook_of_n8n_is_called_by_the_world(closed: Deployment, token: str) -> None:
    with echo_workflow(closed, token) as url:
        headers = {
            "Authorization": "Bearer its.own",
            "X-Vault-Token": token,
            "Cookie": "__Secure-smarteros=x",
            **FORGED,
        }
        answer = browser(closed).post(url, json={"order": 7}, headers=headers)
        seen = answer.json()
        assert (answer.status_code, seen["body"]) == (200, {"order": 7})
        assert seen["headers"]["authorization"] == "Bearer its.own"
        assert [name for name in seen["headers"] if name.startswith("x-vault") or name == "cookie"] == []
    gone = browser(closed).post(url, json={})
    assert (gone.status_code, gone.json()["message"]) == (
        404,
        'The requested webhook "POST orders/new" is not registered.',
    )


def test_what_the_world_may_send_to_a_webhook_at_most_does_not_end_n8n(
    closed: Deployment, token: str
) -> None:
    restarts = "docker inspect -f '{{.RestartCount}} {{.State.StartedAt}}' n8n"
    before = closed.sh(restarts)
    with echo_workflow(closed, token) as url, ThreadPoolExecutor(2) as pool:
        sent = {"data": ("big.bin", bytes(190 << 20))}
        answers = list(pool.map(lambda _: browser(closed).post(url, files=sent, timeout=120), range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert closed.sh(restarts) == before


@pytest.mark.parametrize("target", FOOLING)
def test_no_way_of_writing_a_path_leads_past_the_guard_to_n8n(closed: Deployment, target: str) -> None:
    assert status(closed, target) == 401


def test_n8n_is_its_owners_with_a_vault_token(closed: Deployment, token: str) -> None:
    with n8n_owner(closed, token) as owner:
        assert owner.get(f"{N8N}/rest/login").json()["data"]["role"] == "global:owner"
        owner.headers["authorization"] = f"Bearer {owner.headers.pop('x-vault-token')}"
        assert owner.get(f"{N8N}/rest/login").status_code == 200


# Method, where, status, a word of the answer: what the service itself says.
OPEN = (
    ("POST", "https://crm.smarterbot.cl/webhooks/telegram/7:x", 200, ""),
    ("GET", "https://crm.smarterbot.cl/widget?website_token=x", 404, "web widget does not exist"),
    ("POST", "https://crm.smarterbot.cl/api/v1/widget/config", 404, "web widget does not exist"),
    ("GET", "https://crm.smarterbot.cl/packs/js/sdk.js", 200, "chatwootSDK"),
    ("POST", "https://bot.smarterbot.cl/api/v1/bots/b/converse/7", 404, "Invalid Bot ID"),
    ("GET", "https://bot.smarterbot.cl/assets/modules/channel-web/inject.js", 200, "botpressWebChat"),
    ("GET", "https://bot.smarterbot.cl/lite/b/", 200, "Botpress"),
    ("GET", "https://kpi.smarterbot.cl/public/dashboard/x", 200, "Metabase"),
    ("GET", "https://kpi.smarterbot.cl/unsubscribe", 200, "Metabase"),
    ("GET", "https://kpi.smarterbot.store/api/embed/dashboard/x", 400, "Embedding is not enabled."),
    ("POST", "https://dokploy.smarterbot.cl/api/deploy/compose/x", 404, "Compose Not Found"),
    ("GET", "https://erp.smarterbot.cl/web/login", 200, "Odoo"),
)
# What has to be asked for otherwise than by a GET of this kind: the service says so, and not the guard.
REACHED = (
    "https://n8n.smarterbot.cl/chat?sessionId=a&executionId=1&isPublic=true",
    "https://kpi.smarterbot.cl/api/geojson/x",
    "https://kpi.smarterbot.cl/api/notification/unsubscribe",
    "https://crm.smarterbot.cl/rails/action_mailbox/mailgun/inbound_emails/mime",
)
CLOSED = (
    "https://crm.smarterbot.cl/",
    "https://crm.smarterbot.cl/app/login",
    "https://crm.smarterbot.cl/super_admin/sign_in",
    "https://crm.smarterbot.cl/api/v1/profile",
    "https://bot.smarterbot.cl/admin/login",
    "https://bot.smarterbot.cl/assets/studio/b",
    "https://kpi.smarterbot.cl/",
    "https://erp.smarterbot.cl/web",
    "https://erp.smarterbot.cl/en/jsonrpc",
    "https://erp.smarterbot.cl/jsonrpc/",
    "https://erp.smarterbot.cl/xmlrpc/2/common",
    "https://erp.smarterbot.cl/web/database/manager",
)


@pytest.mark.parametrize(("method", "url", "code", "word"), OPEN)
def test_what_outsiders_need_is_open(closed: Deployment, method: str, url: str, code: int, word: str) -> None:
    answer = browser(closed).request(method, url, headers=FORGED)
    assert answer.status_code == code
    assert word in answer.text


@pytest.mark.parametrize("url", REACHED)
def test_what_outsiders_need_reaches_the_service(closed: Deployment, url: str) -> None:
    answer = browser(closed).get(url)
    assert (answer.status_code in (401, 403), "X-Vault-Token" in answer.text) == (False, False), answer.text


@pytest.mark.parametrize("url", CLOSED)
def test_what_staff_use_asks_for_a_token(closed: Deployment, token: str, url: str) -> None:
    assert browser(closed).get(url).status_code == 401
    assert browser(closed).get(url, headers={"X-Vault-Token": token}).status_code != 401 or url.endswith(
        "/profile"
    )


def test_odoos_rpc_answers_below_a_language_and_is_guarded_there_too(closed: Deployment, token: str) -> None:
    call = {
        "jsonrpc": "2.0",
        "method": "call",
        "params": {"service": "common", "method": "version", "args": []},
    }
    for path in ("/jsonrpc", "/jsonrpc/"):
        url = f"https://erp.smarterbot.cl{path}"
        assert browser(closed).post(url, json=call).status_code == 401
        answer = browser(closed).post(url, json=call, headers={"X-Vault-Token": token})
        assert "server_version" in json.loads(answer.text)["result"]


def test_chatwoots_websocket_is_the_widgets(closed: Deployment) -> None:
    with browser(closed) as visitor, connected(visitor, "https://crm.smarterbot.cl/cable") as (_, frames):
        assert json.loads(next(frames)[1]) == {"type": "welcome"}


def test_a_bearer_token_for_the_guard_does_not_break_metabase(closed: Deployment, token: str) -> None:
    url = "https://kpi.smarterbot.cl/api/session/properties"
    assert browser(closed).get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    # What it says to any Bearer of its own (which Vault does not know).
    own = {"Authorization": "Bearer its.own", "X-Vault-Token": token}
    assert browser(closed).get(url, headers=own).status_code == 500


def test_allow_from_lets_in_where_it_says_and_nobody_over_ipv6(closed: Deployment, token: str) -> None:
    kpi = "https://kpi.smarterbot.cl/api/session/properties"
    assert browser(closed).get(kpi).status_code == 401
    assert browser(closed).get(kpi, headers={"X-Vault-Token": token}).status_code == 200
    for panel in (
        "https://dokploy.smarterbot.cl/",
        "https://dokploy.smarterbot.store/api/health",
        f"https://{MOVED}/",
    ):
        forwarded = {"X-Forwarded-For": "203.0.113.7", "X-Real-IP": "203.0.113.7"}
        assert browser(closed).get(panel, headers=forwarded).status_code == 403
    # Docker's proxy hands on connections over IPv6, and the host's own.
    lines = [
        "GET / HTTP/1.1",
        "Host: kpi.smarterbot.cl",
        "Connection: close",
        f"X-Vault-Token: {token}",
        "",
        "",
    ]
    client = "openssl s_client -quiet -servername kpi.smarterbot.cl 2>/dev/null -connect"
    for address in ("[::1]:443", "127.0.0.1:443"):
        heard = closed.host.run(f"timeout 20 {client} '{address}'", input="\r\n".join(lines)).stdout
        assert heard.startswith("HTTP/1.1 403 ")


def test_allow_from_leaves_certificates_alone(closed: Deployment) -> None:
    # A name of its own, first served with allow_from before it.
    assert "Pebble Intermediate CA" in certificate(closed, MOVED).issuer.rfc4514_string()

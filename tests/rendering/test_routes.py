"""Routes: what of each service everybody reaches, asked of a real Caddy with the rendered Caddyfile, byte for byte."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tasks import verify
from tasks.model.catalogue import Route, domains
from tasks.rendering import render
from tasks.services import load
from tests.openbao import free_port
from tests.samples import stack
from tests.validator_caddy import running_caddy

GUARDED = ("n8n", "chatwoot", "botpress", "metabase", "odoo", "dokploy", "mcp-registry")
N8N = "n8n.smarterbot.cl"
IDENTITY = ("x-vault-display-name", "x-vault-policies", "x-vault-entity-id", "x-vault-spent")
FORGED = dict.fromkeys(IDENTITY, "Authorization")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    seen: list[tuple[str, dict[str, str]]]


class _Service(BaseHTTPRequestHandler):
    """Every service: says what reached it."""

    server: _Server

    def _answer(self, status: int = 200, **headers: str) -> None:
        sent = {name.lower(): value for name, value in self.headers.items()}
        target = self.requestline.split(" ")[1]
        self.server.seen.append((target, sent))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


class _Validator(_Service):
    """The validator's contract: test_validator.py holds the real one to it."""

    def do_GET(self) -> None:
        bearer = self.headers.get("Authorization") == "Bearer live"
        if not bearer and self.headers.get("X-Vault-Token") != "live":
            return self._answer(401)
        spent = {"X_Vault_Spent": "Authorization"} if bearer else {}
        return self._answer(200, X_Vault_Display_Name="alice", X_Vault_Policies="ops", **spent)


@dataclass
class Proxy:
    """A running Caddy: where its domains answer, where each loopback port of the catalogue does, what got through."""

    port: int
    loopback: dict[int, int]
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def ask(self, target: str, host: str = N8N, /, **how: Any) -> int:
        """The status of a GET whose target is sent as it is written. port, source: of the connection; else headers."""
        port, source = how.pop("port", self.port), how.pop("source", "127.0.0.1")
        lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in how.items()]
        self.seen.clear()
        with socket.create_connection(
            ("127.0.0.1", port), timeout=10, source_address=(source, 0)
        ) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            return int(connection.makefile("rb").readline().split()[1])

    def reaches(self, target: str, host: str = N8N, /, **how: Any) -> bool:
        """Whether a request arrives at the service; where not, it was asked for a token."""
        status = self.ask(target, host, **how)
        assert status == (200 if self.seen else 401)
        return bool(self.seen)


def _local(text: str, proxy: Proxy, service: int, validator: int) -> str:
    """The rendered Caddyfile without TLS and logs, with every end of a wire on this machine."""
    text = re.sub(r"^\t(email|admin|grace_period) .*\n", "", text, flags=re.MULTILINE)
    text = text.replace("{\n", "{\n\tadmin off\n", 1).replace("127.0.0.1:2020", f"127.0.0.1:{free_port()}")
    text = re.sub(r"^\timport site .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(
        r"^([a-z0-9-]+\.smarterbot\.\w+) {", rf"http://\1:{proxy.port} {{", text, flags=re.MULTILINE
    )
    for wanted, given in proxy.loopback.items():
        text = text.replace(f"http://:{wanted} {{", f"http://:{given} {{")
    text = re.sub(r"import to \S+ \d+ ", f"import to 127.0.0.1 {service} ", text)
    text = text.replace("vault-auth-validator:8080", f"127.0.0.1:{validator}")
    # A client of this machine can come from another of its addresses; in settings loopback is nobody's.
    return text.replace("198.51.100.7", "127.0.0.9")


@contextmanager
def running(folder: Path, **overrides: Any) -> Iterator[Proxy]:
    """Caddy with the Caddyfile of these overrides, one service for all routes behind it, and a validator."""
    settings = stack(overrides=overrides)
    ports = [route.loopback for service in load(settings) for route in service.routes if route.loopback]
    proxy = Proxy(free_port(), {port: free_port() for port in ports})
    text = render.tree(settings)["caddy/Caddyfile"]
    with _Server(("127.0.0.1", 0), _Service) as service, _Server(("127.0.0.1", 0), _Validator) as validator:
        service.seen, validator.seen = proxy.seen, []
        for server in (service, validator):
            Thread(target=server.serve_forever, daemon=True).start()
        (folder / "Caddyfile").write_text(_local(text, proxy, service.server_port, validator.server_port))
        try:
            with running_caddy(folder, proxy.port):
                yield proxy
        finally:
            service.shutdown()
            validator.shutdown()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Everything that can be has a guard."""
    with running(tmp_path_factory.mktemp("guarded"), **{name: {"guard": True} for name in GUARDED}) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def walled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Open to one address: n8n, and Metabase with a guard besides; everything else as it is delivered."""
    panels: dict[str, Any] = {"n8n": {"allow_from": ["198.51.100.7", "203.0.113.0/24"]}}
    panels["metabase"] = {"allow_from": ["198.51.100.7"], "guard": True}
    with running(tmp_path_factory.mktemp("walled"), **panels) as proxy:
        yield proxy


def routes() -> dict[str, Route]:
    """Each service's first domain, with its route."""
    settings = stack()
    return {domains(settings, route)[0]: route for item in load(settings) for route in item.routes}


def plain(pattern: str) -> str:
    """A path that a pattern is for."""
    return "/x" + pattern.replace("*", "y") if pattern.startswith("*") else pattern.replace("*", "y/z")


METRICS = (
    "/metrics",
    "/metrics/",
    "/metrics?a=b",
    "/metrics/x",
    "//metrics",
    "/METRICS",
    "/%6detrics",
    "/%6Detrics%2f",
    "/./metrics",
    "/rest/../metrics",
    "/rest/..%2fmetrics",
    "/webhook/%2e%2e/metrics",
    "http://n8n.smarterbot.cl/metrics",
)


@pytest.mark.parametrize("target", METRICS)
def test_nobody_reads_metrics_through_the_proxy(guarded: Proxy, walled: Proxy, target: str) -> None:
    for proxy in (guarded, walled):
        for port in (proxy.port, proxy.loopback[5678]):
            assert (proxy.ask(target, port=port, source="127.0.0.9", X_Vault_Token="live"), proxy.seen) == (
                404,
                [],
            )


def test_what_is_not_the_metrics_goes_on_as_it_was_written(walled: Proxy) -> None:
    for target, arrived in (
        ("/metricsx", "/metricsx"),
        ("/rest/metrics", "/rest/metrics"),
        ("/metrics;x", "/metrics;x"),
        # A service that takes # for the end of a path gets none.
        ("/metrics#x", "/metrics%23x"),
    ):
        assert walled.ask(target, source="127.0.0.9") == 200
        assert walled.seen[0][0] == arrived


def test_metrics_are_taken_from_the_catalogue() -> None:
    scraped = [
        (item.name, render.scraped(item, route))
        for item in load(stack())
        for route in item.routes
        if item.metrics
    ]
    # Metabase's are on a port of their own, which no route leads to.
    assert scraped == [("n8n", ("/metrics",)), ("metabase", ())]


@pytest.mark.parametrize("domain", routes())
def test_what_is_public_passes_a_guard_and_carries_no_name(guarded: Proxy, domain: str) -> None:
    for pattern in routes()[domain].public:
        target = plain(pattern)
        assert guarded.reaches(
            target, domain, X_Vault_Token="s.x", Cookie="__Secure-smarteros=x; a=1", **FORGED
        )
        ((arrived, headers),) = guarded.seen
        assert (arrived, headers["cookie"]) == (target, "a=1")
        assert {name for name in headers if name.startswith("x-vault")} == set()


@pytest.mark.parametrize("domain", [name for name in routes() if not name.startswith("api.")])
def test_what_is_verified_of_a_guarded_route_is_guarded(guarded: Proxy, domain: str) -> None:
    assert not guarded.reaches(verify.private(routes()[domain]), domain)


PUBLIC = (
    "/webhook/abc",
    "/WebHook/abc",
    "/webhook/a%20b/c?next=//x/../y%2f;z",
    "/webhook/a..b/.c/...",
    "/webhook/a;b/",
    "/webhook-waiting/7",
    "/rest/oauth2-credential/callback?code=1&state=2",
)
FOOLING = (
    "/",
    "/webhook",
    "/webhookx/a",
    "/rest/settings",
    "/rest/oauth2-credential/callback/x",
    "/rest/oauth2-credential/callback/",
    "/webhook/../rest/settings",
    "/webhook/../../rest/settings",
    "/webhook/%2e%2e/rest/settings",
    "/webhook/.%2E/rest/settings",
    "/webhook/..%2frest/settings",
    "/webhook%2f..%2frest",
    "/webhook%2Fabc",
    "/webhook/%252e%252e/rest/settings",
    "/webhook/..%252frest/settings",
    "/webhook/..;/rest/settings",
    "/webhook/..;a=b/rest/settings",
    "/webhook/..%3b/rest/settings",
    "/webhook/..\\rest\\settings",
    "/webhook\\..\\rest\\settings",
    "/webhook/..%5crest%5csettings",
    "/webhook/a/..",
    "/webhook/.",
    "/webhook/./abc",
    "/webhook//abc",
    "/webhook//../rest",
    "//webhook/abc",
    "/webhook/..#/rest",
    "/webhook/..%23",
    "/webhook/%00",
    "/rest/../webhook/abc",
    "/rest/settings/../../webhook/abc",
    "/rest/settings/..%2f..%2fwebhook/abc",
    "/rest/settings/%2e%2e/%2e%2e/webhook/abc",
    "http://n8n.smarterbot.cl/webhook/abc",
)


@pytest.mark.parametrize("target", PUBLIC)
def test_a_webhook_needs_no_token(guarded: Proxy, target: str) -> None:
    assert guarded.reaches(target)


@pytest.mark.parametrize("target", FOOLING)
def test_no_way_of_writing_a_path_makes_it_public(guarded: Proxy, target: str) -> None:
    assert not guarded.reaches(target)
    assert not guarded.reaches(target, port=guarded.loopback[5678])
    if "\\" not in target and "%00" not in target:
        assert guarded.reaches(target, X_Vault_Token="live")


OTHERS = {
    "crm.smarterbot.cl": """
        / /app /app/login /auth/sign_in /api/v1/accounts/1/inboxes /api/v1/profile /super_admin /platform/api/v1/users
        /installation/onboarding /monitoring/sidekiq /widgets /cable/x""",
    "bot.smarterbot.cl": """
        /admin /studio/bot/flows /api/v1/auth/login/basic/default /api/v2/admin/management/users /api/v1/studio/bot/flows
        /assets/studio/bot /s/api/v1/studio/bot /api/v1/bots/a/studio/b""",
    "kpi.smarterbot.cl": "/ /auth/login /api/session /api/preview_embed/card/1 /public /publicx/",
    "erp.smarterbot.cl": """
        /web /web/ /WEB /%77eb /es/web /web/dataset/call_kw/res.users/read /web/database/manager /web/session/authenticate
        /jsonrpc /jsonrpc/ /es/jsonrpc /xmlrpc/2/object /es/xmlrpc/2/object //jsonrpc /my/../jsonrpc /shop//jsonrpc
        /odoo/sales /json/2/res.users/read /report/pdf/a/1""",
    "dokploy.smarterbot.cl": "/ /api/auth/sign-in/email /api/trpc/user.all /api/deploy /api/providers/github/setup",
    "mcp.smarterbot.cl": "/ /v0/servers",
}


@pytest.mark.parametrize("domain", OTHERS)
def test_what_staff_use_is_guarded(guarded: Proxy, domain: str) -> None:
    targets = OTHERS[domain].split()
    assert [target for target in targets if guarded.reaches(target, domain)] == []
    assert all(guarded.reaches(target, domain, X_Vault_Token="live") for target in targets)


PORTAL = """
    / /my/orders/7?access_token=x /es/shop /web/login /web/assets/1/a.js /payment/stripe/webhook /websocket
    /longpolling/poll /website /webx /web/image/7"""


def test_odoos_portal_and_shop_stay_open(guarded: Proxy) -> None:
    assert [target for target in PORTAL.split() if not guarded.reaches(target, "erp.smarterbot.cl")] == []


def test_a_vault_token_in_authorization_reaches_no_service(guarded: Proxy) -> None:
    assert guarded.reaches("/rest/settings", Authorization="Bearer live")
    ((_, headers),) = guarded.seen
    assert (headers.get("authorization"), headers["x-vault-display-name"]) == (None, "alice")
    assert "x-vault-spent" not in headers


@pytest.mark.parametrize("own", ["Basic YTpi", "Bearer its.own.jwt"])
def test_an_authorization_of_the_services_own_reaches_it(guarded: Proxy, own: str) -> None:
    assert guarded.reaches("/rest/settings", Authorization=own, X_Vault_Token="live", **FORGED)
    ((_, headers),) = guarded.seen
    assert (headers["authorization"], headers.get("x-vault-token")) == (own, None)
    assert not guarded.reaches("/rest/settings", Authorization=own)
    assert guarded.reaches("/webhook/abc", Authorization=own)
    assert guarded.seen[0][1]["authorization"] == own


def test_allow_from_lets_in_its_networks_and_everybody_to_what_is_public(walled: Proxy) -> None:
    assert (walled.ask("/rest/settings"), walled.seen) == (403, [])
    assert (walled.ask("/rest/settings", X_Forwarded_For="198.51.100.7"), walled.seen) == (403, [])
    assert walled.ask("/rest/settings", source="127.0.0.9") == 200
    assert walled.ask("/webhook/abc") == 200
    assert walled.ask("/webhook/%2e%2e/rest/settings") == 403
    assert walled.ask("/rest/settings", port=walled.loopback[5678]) == 200
    assert walled.ask("/", "erp.smarterbot.cl") == 200


def test_allow_from_and_a_guard_ask_for_both(walled: Proxy) -> None:
    for domain in ("kpi.smarterbot.cl", "kpi.smarterbot.store"):
        assert walled.ask("/api/user", domain, X_Vault_Token="live") == 403
        assert walled.ask("/api/user", domain, source="127.0.0.9") == 401
        assert walled.ask("/api/user", domain, source="127.0.0.9", X_Vault_Token="live") == 200
        assert walled.ask("/embed/dashboard/x", domain) == 200


def test_a_session_of_the_guards_reaches_no_service_without_one(walled: Proxy) -> None:
    assert (
        walled.ask(
            "/", "crm.smarterbot.cl", Cookie="a=1; __Secure-smarteros=x", X_Vault_Token="live", **FORGED
        )
        == 200
    )
    ((_, headers),) = walled.seen
    assert headers["cookie"] == "a=1"
    assert {name for name in headers if name.startswith("x-vault")} == set()

"""Guard: a route that is only for who brings a live Vault token, and the API that says who that is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.clients import browser, loopback, secrets, service_token
from tests.e2e.deployment import Deployment
from tests.e2e.vault_access import opened
from tests.e2e.websockets import connected, pong

N8N = "https://n8n.smarterbot.cl/healthz"
VALIDATE = "https://api.smarterbot.cl/validate"
REFUSED = {"error": "Vault refuses the token: unknown, expired, revoked, or may not look itself up"}
MISSING = {"error": "no token: send X-Vault-Token, or Authorization: Bearer"}
IDENTITY = ("x-vault-display-name", "x-vault-policies", "x-vault-entity-id")
FORGED = dict.fromkeys(IDENTITY, "forged")

# Stands in for n8n behind the guard: answers with the headers of the request.
ECHO = """
import http.server, json
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("", 8080), Echo).serve_forever()
"""
CADDY = "docker exec -i caddy-proxy caddy reload --force --config -"
CADDYFILE = "/opt/smarteros/current/caddy/Caddyfile"


@pytest.fixture(scope="module")
def guarded(deployed: Deployment) -> Iterator[Deployment]:
    """The deployed host with n8n behind the guard; without it again afterwards."""
    try:
        run = deployed.converge(overrides={"n8n": {"guard": True}})
        assert run.changes == [
            "Generation | rendered files and their links",
            "Proxy | the Caddyfile is loaded",
        ]
        yield deployed
    finally:
        deployed.converge()
    assert browser(deployed).get(N8N).status_code == 200
    deployed.unchanged()


@pytest.fixture(scope="module")
def token(deployed: Deployment) -> str:
    """A live token: one of n8n's AppRole."""
    with opened(deployed) as found:
        return service_token(found.client, "n8n")


def ask(deployment: Deployment, url: str, **headers: str) -> tuple[int, Any]:
    """Status and JSON of a GET; `x_vault_token` stands for the header X-Vault-Token."""
    answer = get(deployment, url, **headers)
    return answer.status_code, answer.json()


def get(deployment: Deployment, url: str, **headers: str) -> httpx.Response:
    """The whole answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser(deployment).get(url, headers=named)


@pytest.mark.parametrize("domain", ["api.smarterbot.cl", "api.smarterbot.store"])
def test_the_api_says_whose_token_it_is(deployed: Deployment, token: str, domain: str) -> None:
    answer = get(deployed, f"https://{domain}/validate", x_vault_token=token)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["x-vault-display-name"] == "approle"
    assert answer.headers["x-vault-policies"] == "smarteros-n8n"


def test_the_api_refuses_what_is_no_live_token(deployed: Deployment) -> None:
    malformed = {"error": "malformed token: printable ASCII without blanks, 4096 bytes at most"}
    assert ask(deployed, VALIDATE) == (401, MISSING)
    assert ask(deployed, VALIDATE, x_vault_token="two words") == (401, malformed)
    with opened(deployed) as found:
        client = found.client
        client.token = service_token(client, "n8n")
        assert ask(deployed, VALIDATE, x_vault_token=client.token) == (200, {"status": "ok"})
        client.auth.token.revoke_self()
        assert ask(deployed, VALIDATE, x_vault_token=client.token) == (401, REFUSED)


@contextmanager
def echo_behind_the_guard(deployment: Deployment) -> Iterator[None]:
    """Caddy's configuration as it is loaded, only that n8n's requests go to the echo."""
    deployment.host.run(
        'docker run -d --rm --name echo --network smarter-net python:3.13-slim python -u -c "$(cat)"',
        input=ECHO,
    )
    wget = "docker exec caddy-proxy wget -q -O - http://127.0.0.1:2019/config/"
    try:
        deployment.sh(f'{wget} | sed \'s/"n8n:5678"/"echo:8080"/g\' | {CADDY}')
        yield
    finally:
        deployment.sh(f"{CADDY} --adapter caddyfile < {CADDYFILE}; docker rm -f echo")


def test_a_guarded_route_wants_a_live_token(guarded: Deployment, token: str) -> None:
    assert ask(guarded, N8N) == (401, MISSING)
    assert ask(guarded, N8N, x_vault_token="s.unknown") == (401, REFUSED)
    assert ask(guarded, N8N, authorization="Bearer s.unknown") == (401, REFUSED)
    assert ask(guarded, N8N, x_vault_token=token) == (200, {"status": "ok"})
    assert ask(guarded, N8N, authorization=f"Bearer {token}") == (200, {"status": "ok"})


def test_a_websocket_comes_through_with_a_token_alone(guarded: Deployment, token: str) -> None:
    push = "https://n8n.smarterbot.cl/rest/push?pushRef=t"
    login = {"emailOrLdapLoginId": "ops@smarterbot.cl"}
    login["password"] = secrets(guarded, "n8n")["N8N_OWNER_PASSWORD"]
    with browser(guarded) as owner:
        owner.headers.update({"browser-id": "test", "x-vault-token": token})
        owner.post("https://n8n.smarterbot.cl/rest/login", json=login).raise_for_status()
        with connected(owner, push) as socket:
            assert pong(*socket) == b"ping"
        del owner.headers["x-vault-token"]
        assert (owner.get(push).status_code, owner.get(push).json()) == (401, MISSING)


def test_the_hosts_loopback_is_guarded_too(guarded: Deployment) -> None:
    with loopback(guarded.host, 5678) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=20, trust_env=False)
    assert (answer.status_code, answer.json()) == (401, MISSING)


def test_the_verify_phase_expects_the_guard(guarded: Deployment) -> None:
    run = guarded.converge(overrides={"n8n": {"guard": True}})
    assert run.changes == []
    line = next(line for line in run.output.splitlines() if "https://n8n.smarterbot.cl/" in line)
    assert re.search(r"n8n +https://n8n\.smarterbot\.cl/ +401 +Pebble Intermediate CA", line)


def test_nobody_says_who_he_is_but_the_validator_and_no_service_sees_the_credential(
    guarded: Deployment, token: str
) -> None:
    cookies = "__Secure-smarteros=forged; its_own=1"
    with echo_behind_the_guard(guarded):
        status, headers = ask(guarded, N8N, x_vault_token=token, cookie=cookies, **FORGED)
    identity = {name: value for name, value in headers.items() if name in IDENTITY}
    assert status == 200
    assert headers["host"] == "n8n.smarterbot.cl"
    assert identity.pop("x-vault-entity-id") not in ("", "forged")
    assert identity == {"x-vault-display-name": "approle", "x-vault-policies": "smarteros-n8n"}
    assert (headers["cookie"], headers.get("x-vault-token")) == ("its_own=1", None)

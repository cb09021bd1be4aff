"""Verify: who answers how over TLS, the table of it, and a failure that names every domain that does not."""

import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks import verify
from tasks.connection import tunnel
from tasks.model.catalogue import Route
from tasks.run import Refused
from tasks.verify import Answer
from tests.fake import commands, fake
from tests.openbao import free_port

CONFIG = """
{
	admin off
	auto_https disable_redirects
	local_certs
	skip_install_trust
	https_port %s
}
ok.example.org {
	respond "fine"
}
guarded.example.org {
	respond /closed 401
	respond "fine"
}
walled.example.org {
	respond 403
}
broken.example.org {
	respond 502
}
"""


@dataclass(frozen=True)
class Caddy:
    """A real Caddy with certificates of its own authority."""

    port: int
    root: Path


@pytest.fixture(scope="module")
def caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caddy]:
    folder = tmp_path_factory.mktemp("caddy")
    port = free_port()
    (folder / "Caddyfile").write_text(CONFIG % port)
    program = [str(Path(sys.executable).with_name("caddy")), "run", "--config", str(folder / "Caddyfile")]
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(program, env=environment, stdout=log, stderr=log)
    try:
        wait_for(port, process)
        yield Caddy(port, folder / "caddy" / "pki" / "authorities" / "local" / "root.crt")
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with fake({}) as host:
        for _ in range(200):
            assert process.poll() is None
            try:
                socket = tunnel.connect(host, port)
                context.wrap_socket(socket, server_hostname="ok.example.org").close()
            except OSError:
                subprocess.run(["sleep", "0.05"], check=True)
            else:
                return
    raise AssertionError("Caddy does not answer")


@pytest.fixture
def answered(caddy: Caddy, monkeypatch: pytest.MonkeyPatch) -> Caddy:
    """Port 443 of the host is that Caddy's port."""
    connect = tunnel.connect
    monkeypatch.setattr(
        tunnel, "connect", lambda host, port: connect(host, caddy.port if port == 443 else port)
    )
    return caddy


def ask(caddy: Caddy, domain: str, *, trusted: bool = True, **route: Any) -> Answer:
    with fake({}, trusted_root=str(caddy.root) if trusted else "") as host:
        return verify._ask(host, Route("x", "x", 1, **route), domain, verify._trust())


def test_a_service_that_answers_is_seen_with_its_authority(answered: Caddy) -> None:
    answer = ask(answered, "ok.example.org")
    assert (answer.status, answer.problem) == (200, "")
    assert answer.issuer.startswith("Caddy Local Authority")


def test_another_status_is_a_problem(answered: Caddy) -> None:
    assert ask(answered, "broken.example.org").problem == "HTTP 502 on /, expected 200"
    several = ask(answered, "broken.example.org", expect=(200, 302), check="/login")
    assert several.problem == "HTTP 502 on /login, expected 200 or 302"
    assert ask(answered, "broken.example.org", expect=(502,)).problem == ""


def test_a_guarded_route_has_to_refuse(answered: Caddy) -> None:
    assert ask(answered, "guarded.example.org", guard=True, check="/closed").problem == ""
    assert ask(answered, "ok.example.org", guard=True).problem == "HTTP 200 on /, expected 401"


def test_a_route_for_some_networks_has_to_refuse(answered: Caddy) -> None:
    some: dict[str, Any] = {"allow_from": ("203.0.113.0/24",)}
    assert ask(answered, "walled.example.org", **some).problem == ""
    assert ask(answered, "walled.example.org", guard=True, **some).problem == ""
    assert ask(answered, "ok.example.org", **some).problem == (
        "HTTP 200 on /, expected 403 (allow_from lets in smarter-net's own addresses, from where everybody seems to come who comes over IPv6)"
    )
    assert ask(answered, "broken.example.org", **some).problem == "HTTP 502 on /, expected 403"


def test_a_certificate_of_an_unknown_authority_is_a_problem(answered: Caddy) -> None:
    answer = ask(answered, "ok.example.org", trusted=False)
    problem = "SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
    assert answer.problem.startswith(problem)


def test_only_an_unknown_authority_is_not_waited_for(
    answered: Caddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask_once = verify._ask

    def counted(host: Any, route: Route, domain: str, context: ssl.SSLContext) -> Answer:
        asked.append(domain)
        return ask_once(host, route, domain, context)

    monkeypatch.setattr(verify, "_ask", counted)
    route = Route("x", "x", 1)
    with fake({}) as host:
        for domain in ("ok.example.org", "nobody.example.org"):
            verify._patiently(host, route, domain, ssl.create_default_context(), time.monotonic() + 0.3)
    assert asked == ["ok.example.org", "nobody.example.org", "nobody.example.org"]


def test_a_name_that_caddy_does_not_serve_is_a_problem(answered: Caddy) -> None:
    assert ask(answered, "nobody.example.org").problem.startswith("SSLError: ")


def test_nothing_that_listens_is_a_problem(monkeypatch: pytest.MonkeyPatch, caddy: Caddy) -> None:
    port = free_port()
    connect = tunnel.connect
    monkeypatch.setattr(tunnel, "connect", lambda host, _: connect(host, port))
    assert ask(caddy, "ok.example.org").problem == "ConnectionRefusedError: [Errno 111] Connection refused"


def test_a_root_that_is_not_there_is_refused() -> None:
    with fake({}, trusted_root="/no/root.pem"), pytest.raises(Refused) as refused:
        verify._trust()
    assert str(refused.value) == "trusted_root: /no/root.pem does not exist on this machine"


def test_every_domain_is_asked() -> None:
    with fake({}):
        assert [(service.name, route.subdomain) for service, route in verify._routes()] == [
            ("chatwoot", "crm"),
            ("botpress", "bot"),
            ("n8n", "n8n"),
            ("odoo", "erp"),
            ("metabase", "kpi"),
            ("mcp-registry", "mcp"),
            ("dokploy", "dokploy"),
            ("vault-auth-validator", "api"),
        ]
    with fake({}, services=["vault", "postgres", "n8n"]):
        assert verify._routes() == []


def test_a_host_that_does_not_answer_fails_with_every_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    connect = tunnel.connect
    monkeypatch.setattr(tunnel, "connect", lambda host, _: connect(host, port))
    monkeypatch.setattr(verify, "_PATIENCE", 0)
    said: list[str] = []
    few = ["vault", "postgres", "n8n", "vault-auth-validator", "caddy"]
    why = [
        "no JSON",
        '["level"]',
        (
            '{"level":"error","logger":"tls.obtain","msg":"will retry","error":"[api.smarterbot.cl] HTTP 429",'
            '"attempt":1}'
        ),
    ]
    with fake({"docker ps -aq": [], "docker logs": why}, services=few) as host:
        monkeypatch.setattr(host, "log_styled", lambda text, **_: said.append(text))
        (failure,) = commands(verify.verified)
        assert failure.function(host.state, host) is False
    refused = "ConnectionRefusedError: [Errno 111] Connection refused"
    assert said == [
        (
            "does not answer as it should:\n"
            f"    https://n8n.smarterbot.cl: {refused}\n"
            f"    https://api.smarterbot.cl: {refused}\n"
            f"    https://api.smarterbot.store: {refused}\n"
            "    the proxy says: will retry: [api.smarterbot.cl] HTTP 429\n"
            "    see `docker logs caddy-proxy`"
        )
    ]


def test_a_name_that_leads_elsewhere_and_has_no_certificate_is_a_warning(
    answered: Caddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "_PATIENCE", 0.3)
    said: list[str] = []
    few = ["vault", "vault-auth-validator", "caddy"]
    away = [f"name {name} 203.0.113.9" for name in ("api.smarterbot.cl", "api.smarterbot.store")]
    for lines, fails in ((away, False), ([*away, "own 203.0.113.9"], True)):
        said.clear()
        with fake({"docker ps -aq": [], "perl -MSocket": lines}, services=few) as host:
            monkeypatch.setattr(host, "log_styled", lambda text, **_: said.append(text))
            done = commands(verify.verified)
            assert bool(done) == fails
            if fails:
                assert done[0].function(host.state, host) is False
        assert [line for line in said if "leads to 203.0.113.9, not to @fake/one" in line] == (
            [] if fails else said
        )
        assert len(said) == (1 if fails else 2)


def test_a_takeover_of_which_no_domain_answers_is_put_back(
    answered: Caddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "_PATIENCE", 0.3)
    few = ["vault", "vault-auth-validator", "caddy"]
    away = [f"name {name} 203.0.113.9" for name in ("api.smarterbot.cl", "api.smarterbot.store")]
    for state, fails in (["u|"], True), ([], False):
        answers = {"takeover/unverified": state, "docker ps -aq": [], "perl -MSocket": away}
        with fake(answers, services=few, takeover="traefik") as host:
            monkeypatch.setattr(host, "log_styled", lambda *_, **__: None)
            done = [str(command) for command in commands(verify.verified)]
        assert [line for line in done if "undo-takeover.sh" in line] == (
            ["bash /root/undo-takeover.sh || true"] if fails else []
        )
        assert bool(done) == fails


def test_a_plan_asks_nobody() -> None:
    with fake({}, executing=False):
        assert commands(verify.verified) == []


def test_the_table_says_all_of_every_service() -> None:
    running = "c|/n8n|n8n|d||running|healthy|0|n8nio/n8n:2.30.8|smarter-net "
    changes: dict[str, Any] = {"services": ["vault", "postgres", "n8n"], "acme_email": None}
    with fake(
        {"docker ps -aq": [running, running.replace("n8n", "postgres").replace("healthy", "")]}, **changes
    ):
        lines = verify.table({"n8n.smarterbot.cl": Answer("n8n.smarterbot.cl", 200, "Let's Encrypt")})
    assert lines == [
        "SERVICE   URL                         HTTP  TLS ISSUER     HEALTH   IMAGE",
        "vault     -                           -     -              missing  hashicorp/vault:2.0.4",
        "postgres  -                           -     -              running  pgvector/pgvector:0.8.7-pg16-bookworm",
        "n8n       https://n8n.smarterbot.cl/  200   Let's Encrypt  healthy  n8nio/n8n:2.30.8",
    ]


def test_what_copies_away_has_no_line_since_it_runs_for_a_moment_at_a_time() -> None:
    changes: dict[str, Any] = {"backup": {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}}
    with fake({"docker ps -aq": []}, services=["vault", "postgres"], **changes):
        assert [line.split()[0] for line in verify.table({})] == ["SERVICE", "vault", "postgres"]

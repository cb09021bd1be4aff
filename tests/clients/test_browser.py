"""A visitor, against a real Caddy: statuses, cookies, HTTP/1.1, 2 and 3, and what is said when something is wrong."""

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.clients import browser, http3
from tasks.clients.browser import Browser, Place
from tasks.connection import tunnel
from tasks.model.visitor import Denied, Failed, OutOfReach
from tests.fake import fake
from tests.openbao import free_port
from tests.test_verify import wait_for

SITE = """
	header Set-Cookie "session=abc; Path=/; Secure"
	encode gzip
	@known {
		path /known
		header_regexp Cookie session=abc
	}
	respond @known "known" 200
	respond /known 401
	respond /broken "the secret is hunter22" 500
	respond /page "{$PAGE}"
	respond /soon 429
	respond /closed 403
	handle /slow {
		reverse_proxy 127.0.0.1:1 {
			lb_try_duration 3s
		}
	}
	respond "fine"
"""
CONFIG = "{\n\tadmin off\n\tlocal_certs\n\tskip_install_trust\n\thttp_port %s\n\thttps_port %s\n}\nok.example.org {%s}\n"


@pytest.fixture(scope="module")
def caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[int, int], Path]]:
    """Ports of the host → this Caddy's, and the root of its authority."""
    folder = tmp_path_factory.mktemp("caddy")
    ports = {80: free_port(), 443: free_port()}
    (folder / "Caddyfile").write_text(CONFIG % (ports[80], ports[443], SITE))
    program = [str(Path(sys.executable).with_name("caddy")), "run", "--config", str(folder / "Caddyfile")]
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PAGE": "x" * 2000}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(program, env=environment, stdout=log, stderr=log)
    try:
        wait_for(ports[443], process)
        yield ports, folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def visitor(caddy: tuple[dict[int, int], Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    ports, root = caddy
    connect, get = tunnel.connect, http3.get
    monkeypatch.setattr(tunnel, "connect", lambda host, port, *_: connect(host, ports[port]))
    monkeypatch.setattr(
        http3, "get", lambda address, domain, path, root: get(address, domain, path, root, ports[443])
    )
    monkeypatch.setattr(browser, "_TOO_SOON", (0, 0))
    with opened(Place(("ok.example.org",), login="ops"), str(root)) as found:
        yield found


@contextmanager
def opened(place: Place, root: str) -> Iterator[Browser]:
    context = ssl.create_default_context(cafile=root or None)
    with fake({}):
        found = Browser(place, {"PASSWORD": "hunter22"}, context, root)
        yield found
        found.close()


def test_a_request_is_answered_and_cookies_are_kept(visitor: Browser) -> None:
    visitor.get("/known", expect=(401,))
    answer = visitor.get("/known")
    assert (answer.status, answer.text, answer.protocol) == (200, "known", "HTTP/1.1")


def test_another_status_is_a_failure_in_words_without_a_secret(visitor: Browser) -> None:
    with pytest.raises(Failed) as failed:
        visitor.get("/broken?key=value")
    assert str(failed.value) == "GET /broken: HTTP 500, expected 200: the secret is ***"
    assert visitor.get("/broken", expect=()).status == 500
    with pytest.raises(Denied, match=r"^POST /broken: HTTP 500$"):
        visitor.post("/broken", {}, denied=(500,))


def test_who_comes_too_soon_comes_again(visitor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    sent = visitor._sent

    def counted(what: str, *rest: Any) -> Any:
        asked.append(what)
        return sent(what, *rest)

    monkeypatch.setattr(visitor, "_sent", counted)
    with pytest.raises(Failed, match=r"^GET /soon: HTTP 429, expected 200: check again in some minutes$"):
        visitor.get("/soon")
    assert asked == ["GET /soon"] * 3


@pytest.mark.parametrize("over", ["HTTP/1.1", "HTTP/2", "HTTP/3"])
def test_each_protocol_is_spoken(visitor: Browser, over: Any) -> None:
    answer = visitor.get("/", over=over)
    assert (answer.status, answer.protocol) == (200, over)


def test_plain_http_is_led_to_https(visitor: Browser) -> None:
    answer = visitor.get("/a", over="plain", expect=(308,))
    assert answer.headers["location"].startswith("https://ok.example.org")


def test_a_page_is_unpacked(visitor: Browser) -> None:
    answer = visitor.get("/page", headers={"Accept-Encoding": "gzip"})
    assert (answer.headers["content-encoding"], answer.text) == ("gzip", "x" * 2000)


def test_no_certificate_of_another_authority_is_taken(visitor: Browser) -> None:
    with opened(Place(("ok.example.org",)), "") as stranger:
        with pytest.raises(Failed, match=r"^GET /: no answer \(.*CERTIFICATE_VERIFY_FAILED"):
            stranger.get("/")
        with pytest.raises(Failed, match=r"^HTTP/3: unable to get local issuer certificate$"):
            stranger.get("/", over="HTTP/3")


def test_a_websocket_that_is_refused_is_a_failure_in_words(visitor: Browser) -> None:
    with (
        pytest.raises(Failed, match=r"^WebSocket /cable: Handshake status 200 OK"),
        visitor.websocket("/cable?x=1"),
    ):
        pass


def test_nothing_that_listens_is_said_for_tcp_and_is_out_of_reach_for_udp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    connect, get = tunnel.connect, http3.get
    monkeypatch.setattr(tunnel, "connect", lambda host, *_: connect(host, port))
    monkeypatch.setattr(
        http3, "get", lambda address, domain, path, root: get(address, domain, path, root, port)
    )
    with opened(Place(("ok.example.org",)), "") as visitor:
        with pytest.raises(Failed, match=r"^GET /: no answer \(.*refused\)$"):
            visitor.get("/")
        with pytest.raises(OutOfReach, match=r"^neither 443/tcp nor 443/udp of 127.0.0.1 answers here$"):
            visitor.get("/", over="HTTP/3")
        with pytest.raises(Failed, match=r"^WebSocket: "), visitor.websocket("/cable"):
            pass


def test_a_slow_service_is_not_taken_for_a_port_that_is_shut(
    visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http3, "_PATIENCE", 2)  # to connect, which does not wait for the service
    assert visitor.get("/slow", over="HTTP/3").status == 502
    monkeypatch.setattr(http3, "_ANSWER", 1)
    said = r"^HTTP/3: connected, and no answer within 1 s: the service behind is slow or down$"
    with pytest.raises(Failed, match=said):
        visitor.get("/slow", over="HTTP/3")


def test_what_is_not_in_vault_is_said(visitor: Browser) -> None:
    assert visitor.secret("PASSWORD") == "hunter22"
    with pytest.raises(Failed, match=r"#OTHER is not in Vault: `make deploy` fills it$"):
        visitor.secret("OTHER")


def test_what_takes_too_long_is_said(visitor: Browser) -> None:
    with pytest.raises(Failed, match=r"^the bot is not trained: not within 0 s$"):
        visitor.until(lambda: False, "the bot is not trained", seconds=0)


def test_a_guarded_route_is_asked_with_a_token_that_is_not_old(
    visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    @contextmanager
    def minute() -> Iterator[str]:
        name = f"token {len(made)}"
        made.append(name)
        yield name
        ended.append(name)

    made: list[str] = []
    monkeypatch.setattr("tasks.clients.vault_token.minute", minute)
    with fake({}):
        guarded = Browser(Place(("ok.example.org",), guarded=True), {}, ssl.create_default_context())
    assert [guarded._guard(), guarded._guard()] == [{"X-Vault-Token": "token 0"}] * 2
    guarded._token = (-1e9, *guarded._token[1:]) if guarded._token else None
    assert guarded._guard() == {"X-Vault-Token": "token 1"}
    guarded.close()
    assert ended == ["token 0", "token 1"]


def test_what_allow_from_closes_is_asked_from_this_machine_itself(
    visitor: Browser, caddy: tuple[dict[int, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports, root = caddy
    create = socket.create_connection
    monkeypatch.setattr(tunnel, "outside", lambda _: "127.0.0.1")
    monkeypatch.setattr(tunnel, "connect", None)
    monkeypatch.setattr(
        socket,
        "create_connection",
        lambda where, timeout: create((where[0], ports[where[1]]), timeout),
    )
    with opened(Place(("ok.example.org",), direct=True), str(root)) as near:
        assert near.get("/").status == 200
        with pytest.raises(OutOfReach, match=r"^allow_from does not let it in$"):
            near.get("/closed")
        monkeypatch.setattr(tunnel, "outside", lambda _: "")
        with pytest.raises(OutOfReach, match=r"^the host is reached through another one$"):
            near.get("/", over="HTTP/2")

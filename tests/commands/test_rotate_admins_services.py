"""How each service's first admin changes their own password, over HTTP, against what upstream's programs answer."""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_connection, socket
from typing import Any

import pytest

from tasks.clients import browser
from tasks.clients.browser import Browser, Place
from tasks.model.made import generated
from tasks.model.visitor import Changes, Denied, Failed, TooSoon
from tasks.run import services
from tests.fake import fake

OLD, NEW, LOGIN = "Aa1!old-password", "Aa1!new-password", "ops@smarterbot.cl"
with fake({}):
    ADMINS = {item.name: item.admin for item in services() if item.admin and item.admin.changes}
    SECRETS = {item.name: item.secrets for item in services()}

Answer = tuple[int, Any, dict[str, str]]


@dataclass
class App:
    """What a program knows: the one password, its sessions, and whether it asks for a second factor or lets nobody try any more."""

    password: str = OLD
    sessions: set[str] = field(default_factory=lambda: {"of before"})
    second: bool = False
    tired: bool = False
    asked: list[str] = field(default_factory=list)

    def opened(self) -> str:
        """A session's token."""
        self.sessions.add(token := secrets.token_hex(4))
        return token

    def left(self, token: str) -> bool:
        """Whether there was such a session, which is no more."""
        there = token in self.sessions
        self.sessions.discard(token)
        return there


def chatwoot(app: App, request: str, body: Any, headers: Any) -> Answer:  # noqa: PLR0911  as many answers
    """Devise's tokens in headers; a throttle answers in its place (profiles_controller.rb, rack_attack.rb of v4.15.1)."""
    token = headers.get("access-token", "")
    if request == "POST /auth/sign_in":
        if app.tired:
            return 429, None, {}
        if body["password"] != app.password:
            return 401, {"success": False}, {}
        if app.second:
            return 206, {"mfa_required": True}, {}
        made = {"access-token": app.opened(), "client": "c", "uid": LOGIN, "token-type": "Bearer"}
        return 200, {"data": {"id": 1, "account_id": 1}}, made
    if token not in app.sessions:
        return 401, {}, {}
    if request == "DELETE /auth/sign_out":
        return 200, app.left(token), {}
    assert request == "PUT /api/v1/profile"
    profile = body["profile"]
    if profile["current_password"] != app.password or profile["password_confirmation"] != profile["password"]:
        return 422, {"error": "Invalid current password"}, {}
    app.password, app.sessions = profile["password"], {token}
    return 200, {}, {}


def metabase(app: App, request: str, body: Any, headers: Any) -> Answer:  # noqa: PLR0911  as many answers
    """All that is wrong with a sign-in is 401; sessions last, and no admin is asked for the old password."""
    if request == "POST /api/session":
        if app.tired:
            return 401, {"errors": {"username": "Too many attempts! You must wait 15 seconds"}}, {}
        if body["password"] != app.password:
            return 401, {"errors": {"password": "did not match stored password"}}, {}
        return 200, {"mfa": True} if app.second else {"id": app.opened()}, {}
    token = headers.get("X-Metabase-Session", "")
    if token not in app.sessions:
        return 401, "Unauthenticated", {}
    if request == "DELETE /api/session":
        app.left(token)
        return 204, None, {}
    if request == "GET /api/user/current":
        return 200, {"id": 7}, {}
    assert request == "PUT /api/user/7/password"
    app.password = body["password"]
    return 200, {"success": True, "session_id": app.opened()}, {}


def odoo(app: App, request: str, body: Any, headers: Any) -> Answer:  # noqa: PLR0911  as many answers
    """Errors have status 200; every session of before ends with the password."""
    params, (method, path) = body["params"], request.split()
    assert method == "POST"
    denied = {"error": {"data": {"name": "odoo.exceptions.AccessDenied", "message": "Access Denied"}}}
    if path == "/web/session/authenticate":
        if app.tired:
            denied["error"]["data"]["message"] = (
                "Too many login failures, please wait a bit before trying again."
            )
        if app.tired or params["password"] != app.password:
            return 200, denied, {}
        if app.second:
            return 200, {"result": {"uid": None}}, {}
        return 200, {"result": {"uid": 2}}, {"Set-Cookie": f"session_id={app.opened()}; Path=/"}
    token = headers.get("Cookie", "").partition("session_id=")[2].partition(";")[0]
    if token not in app.sessions:
        return 200, {"error": {"code": 100, "message": "Odoo Session Expired"}}, {}
    if path == "/web/session/destroy":
        app.left(token)
        return 200, {"result": None}, {}
    assert (params["model"], params["method"], params["kwargs"]) == ("res.users", "change_password", {})
    old, new = params["args"]
    if old != app.password:
        return 200, denied, {}
    app.password, app.sessions = new, set()
    return 200, {"result": True}, {}


def botpress(app: App, request: str, body: Any, headers: Any) -> Answer:
    """A sign-in takes the new password with it, and ends all sessions; nobody signs out (strategy-basic.ts)."""
    assert request == "POST /api/v1/auth/login/basic/default"
    if body["password"] != app.password or app.second or app.tired:
        return 400, {"errorCode": "BP_0009"}, {}
    if new := body.get("newPassword"):
        app.password, app.sessions = new, set()
    return 200, {"payload": {"jwt": "j"}}, {}


def dokploy(app: App, request: str, body: Any, headers: Any) -> Answer:  # noqa: PLR0911  as many answers
    """With a cookie every request has to name a page of its own (better-auth 1.6.23)."""
    if headers.get("Origin") != "https://dokploy.example.org":
        return 403, {"code": "INVALID_ORIGIN"}, {}
    token = headers.get("Cookie", "").partition("session_token=")[2].partition(";")[0]
    cookie = "better-auth.session_token={}; Path=/; HttpOnly"
    if request == "POST /api/auth/sign-in/email":
        if app.tired:
            return 429, None, {}
        if body["password"] != app.password:
            return 401, {"code": "INVALID_EMAIL_OR_PASSWORD"}, {}
        if app.second:
            return 200, {"twoFactorRedirect": True}, {}
        return 200, {"token": "t"}, {"Set-Cookie": cookie.format(app.opened())}
    if request == "POST /api/auth/sign-out":
        app.left(token)
        return 200, {"success": True}, {}
    assert request == "POST /api/auth/change-password"
    if token not in app.sessions:
        return 401, {"code": "UNAUTHORIZED"}, {}
    if body["currentPassword"] != app.password:
        return 400, {"code": "INVALID_PASSWORD"}, {}
    app.password = body["newPassword"]
    assert body["revokeOtherSessions"] is True
    app.sessions = set()
    return 200, {"token": "t"}, {"Set-Cookie": cookie.format(app.opened())}


PROGRAMS: dict[str, Callable[[App, str, Any, Any], Answer]] = {
    "chatwoot": chatwoot, "metabase": metabase, "odoo": odoo, "botpress": botpress, "dokploy": dokploy,
}  # fmt: skip
# Whose sessions of before outlast the password.
LASTING = {"metabase"}


class Local(Browser):
    """A browser whose pages are one server's of this machine."""

    port = 0

    def _base(self, domain: str, over: str) -> str:
        assert (domain in ("", *self.domains), over) == (True, "HTTP/1.1")
        return f"http://127.0.0.1:{self.port}"

    def _connected(self, _port: int) -> socket:
        return create_connection(("127.0.0.1", self.port), timeout=5)


@contextmanager
def served(name: str, app: App) -> Iterator[Callable[[str, str], None]]:
    """Someone at a program who changes the password of the first argument to that of the second, each time in another browser."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            request = f"{self.command} {self.path}"
            app.asked.append(request)
            status, said, headers = PROGRAMS[name](app, request, body, self.headers)
            text = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    admin = ADMINS[name]
    assert admin is not None
    changes: Changes | None = admin.changes
    assert changes is not None

    def visit(now: str, new: str) -> None:
        found = Local(Place((f"{name}.example.org",), login=LOGIN), {}, None)  # type: ignore[arg-type]
        found.port = server.server_port
        try:
            changes(found, now, new)
        finally:
            found.close()

    try:
        with fake({}):
            yield visit
    finally:
        server.shutdown()
        server.server_close()


def test_each_first_admin_has_a_way_but_the_one_that_its_service_restores() -> None:
    with fake({}):
        assert {item.name for item in services() if item.admin and item.admin.restored} == {"n8n"}
    assert ADMINS.keys() == PROGRAMS.keys()


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_password_is_changed_by_who_knows_it_and_no_session_is_left(name: str) -> None:
    app = App()
    with served(name, app) as visit:
        visit(OLD, "")
        assert (app.password, app.sessions) == (OLD, {"of before"})
        visit(OLD, NEW)
        assert app.password == NEW
        assert app.sessions == ({"of before"} if name in LASTING else set())
        with pytest.raises(Denied):
            visit(OLD, "")
        with pytest.raises(Denied):
            visit(OLD, "Aa1!another")
        visit(NEW, "")
    assert app.password == NEW


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "botpress"])
def test_who_is_asked_for_a_second_factor_is_not_let_in(name: str) -> None:
    app = App(second=True)
    with served(name, app) as visit, pytest.raises(Denied):
        visit(OLD, NEW)
    assert (app.password, app.sessions) == (OLD, {"of before"})


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "botpress"])
def test_one_that_takes_no_more_sign_ins_has_not_refused_a_password(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "_TOO_SOON", (0, 0))
    app = App(tired=True)
    with served(name, app) as visit, pytest.raises(TooSoon):
        visit(OLD, NEW)
    assert app.password == OLD


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_failure_in_between_is_none_of_the_password(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app, answered = App(), PROGRAMS[name]

    def broken(app: App, request: str, body: Any, headers: Any) -> Answer:
        last = request.startswith("PUT ") or "change" in json.dumps([request, body]) or "newPass" in str(body)
        return (502, None, {}) if last else answered(app, request, body, headers)

    monkeypatch.setitem(PROGRAMS, name, broken)
    with served(name, app) as visit, pytest.raises(Failed) as failed:
        visit(OLD, NEW)
    assert not isinstance(failed.value, Denied)
    assert "HTTP 502" in str(failed.value)
    assert NEW not in str(failed.value)
    assert app.sessions == {"of before"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_made_fits_the_program_that_it_is_for(name: str) -> None:
    """Chatwoot: six characters, each class; Metabase: six with a digit; Dokploy: 8 to 128; Botpress and Odoo: any."""
    admin = ADMINS[name]
    assert admin is not None
    value = generated(SECRETS[name], {})[admin.secret]
    assert 8 <= len(value) <= 128
    kinds = str.isupper, str.islower, str.isdigit, lambda sign: not sign.isalnum()
    assert all(any(map(kind, value)) for kind in kinds)
    assert value == value.strip()

"""Chatwoot's web process: health, API status, onboarding, login, sign-up and the WebSocket /cable."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult

from double.chatwoot_accounts import Accounts, Invalid, password_problem
from double.chatwoot_conversations import Conversations, listen
from double.chatwoot_sidekiq import MAIL
from double.contract import Environment, Refused
from double.store import Row
from double.web import Failure, Handler, Request, Response, Site, as_json, page, redirect
from double.websocket import WebSocket

VERSION = "4.15.1"
CHANNEL = "chatwoot_production:double"


@dataclass(frozen=True)
class Web:
    """The handlers."""

    accounts: Accounts
    signup: bool
    frontend: str

    def health(self, _request: Request) -> Response:
        """Whether the process answers at all."""
        return as_json({"status": "woot"})

    def status(self, _request: Request) -> Response:
        """Upstream's queue_services is a PING of Redis: it says nothing about sidekiq."""
        return as_json(
            {
                "version": VERSION,
                "timestamp": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
                "queue_services": "ok" if self._redis_answers() else "failing",
                "data_services": "ok" if self.accounts.database.works() else "failing",
            }
        )

    def _redis_answers(self) -> bool:
        import redis

        try:
            return bool(self.accounts.redis.ping())
        except redis.RedisError:
            return False

    def dashboard(self, _request: Request) -> Response:
        """The application, or the way to the onboarding."""
        if self.accounts.onboarding_is_open():
            return redirect("/installation/onboarding")
        return page("Chatwoot")

    def onboarding(self, _request: Request) -> Response:
        """The form, while it is open."""
        return page("Howdy, Welcome to Chatwoot") if self.accounts.onboarding_is_open() else redirect("/")

    def onboard(self, request: Request) -> Response:
        """The first account: success and failure both lead to /, only a finished onboarding tells them apart."""
        if not self.accounts.onboarding_is_open():
            return redirect("/")
        user = request.fields().get("user")
        given: dict[str, Any] = user if isinstance(user, dict) else {}
        company, name, email, password = (
            str(given.get(key) or "") for key in ("company", "name", "email", "password")
        )
        try:
            self.accounts.build(company, name, email, password, super_admin=True, confirmed=True)
        except Invalid as error:
            print(f"onboarding failed: {error}")
        else:
            self.accounts.finish_onboarding()
        return redirect("/")

    def sign_in(self, request: Request) -> Response:
        """A session, in headers as devise_token_auth does it."""
        fields = request.fields()
        found = self.accounts.log_in(str(fields.get("email", "")), str(fields.get("password", "")))
        if not found:
            raise Failure(401, {"success": False, "errors": ["Invalid login credentials. Please try again."]})
        user, token, client = found
        headers = {"access-token": token, "client": client, "uid": user["email"], "token-type": "Bearer"}
        found = self.accounts.accounts_of(user["id"])
        public = {**_public(user), "accounts": found, "account_id": found[0]["id"] if found else None}
        return as_json({"data": public}, headers=headers)

    def sign_out(self, request: Request) -> Response:
        """The session's end."""
        self.user(request)
        self.accounts.log_out(request.headers["access-token"])
        return as_json({"success": True})

    def forgotten(self, request: Request) -> Response:
        """A link by mail, which sidekiq sends."""
        email = str(request.fields().get("email", "")).lower()
        if not self.accounts.find(email):
            raise Failure(404, {"message": "We could not find any user with the specified email"})
        text = f"Someone has requested a link to change your password: {self.frontend}/app/auth/password/edit"
        job = {"class": MAIL, "args": [email, "Reset password instructions", text]}
        self.accounts.redis.lpush("queue:mailers", json.dumps(job))
        return as_json(
            {"message": "Woot! Request for password reset is successful. Check your mail for instructions."}
        )

    def profile(self, request: Request) -> Response:
        """The user of the session."""
        return as_json(_public(self.user(request)))

    def change_profile(self, request: Request) -> Response:
        """Of all that it may change the password alone. Other sessions end with the old one, but for the newest (devise_token_auth)."""
        user, profile = self.user(request), request.fields().get("profile")
        if not isinstance(profile, dict) or not profile:
            raise Failure(422, {"error": "param is missing or the value is empty: profile"})
        if password := str(profile.get("password") or ""):
            if not self.accounts.log_in(
                user["email"], str(profile.get("current_password") or ""), session=False
            ):
                raise Failure(422, {"error": "Invalid current password"})
            problem = password_problem(password).removeprefix("Validation failed: ")
            if profile.get("password_confirmation", password) != password:
                problem = "Password confirmation doesn't match Password"
            if problem:
                raise Failure(422, {"message": problem, "attributes": ["password"]})
            self.accounts.change_password(user["id"], password)
        return as_json(_public(user))

    def user(self, request: Request) -> Row:
        """Whose session it is; a request without one fails."""
        user = self.accounts.user_of(
            *(request.headers.get(name, "") for name in ("access-token", "client", "uid"))
        )
        if not user:
            raise Failure(401, {"errors": ["You need to sign in or sign up before continuing."]})
        return user

    def sign_up(self, request: Request) -> Response:
        """An account for whoever asks, only where ENABLE_ACCOUNT_SIGNUP allows it."""
        if not self.signup:
            raise Failure(404, {"status": 404, "error": "Not Found"})
        keys = ("account_name", "user_full_name", "email", "password")
        account, name, email, password = (str(request.fields().get(key, "")) for key in keys)
        try:
            self.accounts.build(account, name, email, password, super_admin=False, confirmed=False)
        except Invalid as error:
            raise Failure(422, {"message": str(error)}) from None
        return as_json({"data": {"email": email}})

    def cable(self, socket: WebSocket, _request: Request) -> None:
        """ActionCable: welcome, a ping every three seconds; who may listen is confirmed, upstream fails for others."""
        done, lock = threading.Event(), threading.Lock()

        def send(**message: object) -> None:
            with lock:
                socket.send(json.dumps(message))

        send(type="welcome")
        threading.Thread(target=_ping, args=(send, done), daemon=True).start()
        for text in socket.messages():
            command = json.loads(text)
            identifier = str(command.get("identifier"))
            if command.get("command") == "subscribe" and listen(self.accounts, identifier, send, done):
                send(identifier=identifier, type="confirm_subscription")
        done.set()


def _ping(send: Callable[..., None], done: threading.Event) -> None:
    while not done.wait(3):
        try:
            send(type="ping", message=int(time.time()))
        except OSError:
            return


def _public(user: dict[str, Any]) -> dict[str, Any]:
    keys = ("id", "name", "email", "type", "pubsub_token")
    return {key: user[key] for key in keys} | {"confirmed": bool(user["confirmed_at"])}


def _for_customers() -> dict[str, Handler]:
    """What channels and websites ask for. The double has no inbox, and says of one what upstream says."""

    def missing(_request: Request) -> Response:
        raise Failure(404, {"error": "web widget does not exist"})

    return {
        # Taken at once; whose it is, a job finds out.
        "POST /webhooks/telegram/[^/]+": lambda _request: Response(),
        "GET /widget": missing,
        "POST /api/v1/widget/config": missing,
        "GET /packs/js/sdk.js": lambda _request: Response(
            200, b"window.chatwootSDK = {};\n", {"Content-Type": "text/javascript"}
        ),
    }


def _over_tls(handler: Handler, host: str) -> Handler:
    """With FORCE_SSL Rails sends plain requests away, those of a health check too."""

    def wrapped(request: Request) -> Response:
        if request.headers.get("x-forwarded-proto") == "https":
            return handler(request)
        return redirect(f"https://{request.headers.get('host', host)}{request.path}", 301)

    return wrapped


def site(accounts: Accounts, environment: Environment, frontend: SplitResult) -> Site:
    """All routes; Redis must also allow what ActionCable needs."""
    import redis

    try:
        accounts.redis.publish(CHANNEL, "start")
    except redis.RedisError as error:
        raise Refused(f"ActionCable cannot publish over Redis: {error}") from None
    signup = environment.get("ENABLE_ACCOUNT_SIGNUP") in ("true", "api_only")
    web = Web(accounts, signup, frontend.geturl())
    routes: dict[str, Handler] = {
        "GET /health": web.health,
        "GET /api": web.status,
        "GET /(app(/.*)?)?": web.dashboard,
        "GET /installation/onboarding": web.onboarding,
        "POST /installation/onboarding": web.onboard,
        "POST /auth/sign_in": web.sign_in,
        "POST /auth/password": web.forgotten,
        "DELETE /auth/sign_out": web.sign_out,
        "GET /api/v1/profile": web.profile,
        "PUT /api/v1/profile": web.change_profile,
        "POST /api/v1/accounts": web.sign_up,
        "GET /super_admin": lambda _request: redirect("/super_admin/sign_in"),
        "GET /super_admin/sign_in": lambda _request: page("SuperAdmin | Chatwoot"),
        **_for_customers(),
        **Conversations(accounts, web.user).routes(),
    }
    if environment.get("FORCE_SSL") in ("true", "1", "yes"):
        routes = {route: _over_tls(handler, frontend.netloc) for route, handler in routes.items()}
    return Site(routes, {"/cable": web.cable})

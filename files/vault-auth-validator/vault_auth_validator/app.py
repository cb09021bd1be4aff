"""The HTTP side: /validate for Caddy's forward_auth, /health for the container, / says what runs here."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TypedDict
from urllib.parse import quote

import httpx
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from vault_auth_validator import __version__, pages, sign_in
from vault_auth_validator.settings import Settings, SignIn
from vault_auth_validator.vault import TOKEN, Identity, TokenRefused, VaultUnavailable, look_up, open_client

_log = logging.getLogger("vault_auth_validator")
# What stands for itself in a header value: visible ASCII but the comma, which separates, and % itself.
_PLAIN = "!\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"


class Unauthorised(Exception):
    """No credential of the request is a live token; the text says why."""


class _State(TypedDict):
    vault: httpx.AsyncClient
    sign_in: SignIn | None


def create_app(settings: Settings) -> Starlette:
    """The ASGI application; its lifespan owns the client to Vault."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[_State]:
        async with open_client(settings.vault_addr) as vault:
            yield {"vault": vault, "sign_in": settings.sign_in}

    routes = [Route("/", about), Route("/health", health), Route("/validate", Validate())]
    app = Starlette(
        routes=routes + (sign_in.routes() if settings.sign_in else []),
        lifespan=lifespan,
        exception_handlers={HTTPException: refuse},
    )
    # "/validate/" is a 404 and not a redirect, which forward_auth would hand to the visitor.
    app.router.redirect_slashes = False
    return app


class Validate:
    """/validate as an ASGI app: for those, unlike for functions, Starlette's Route lets every method in."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await validate(Request(scope))
        await response(scope, receive, send)


async def validate(request: Request) -> Response:
    """200 and whose token it is, 401 for a token that is none, 503 when Vault cannot tell.

    A browser that opens a page gets pages instead: the way to sign in for 401, and what is wrong for 503.
    """
    headers, configured = request.headers, request.state.sign_in
    visitor = None if token_from(headers) else sign_in.navigation(headers, configured)
    try:
        token, identity = await _identify(request)
    except Unauthorised as refusal:
        return sign_in.to_sign_in(headers, visitor, configured) if visitor else _unauthorised(str(refusal))
    except VaultUnavailable as error:
        _log.warning("no verdict: %s", error)
        if visitor:
            return pages.message(visitor.zone, "Your session cannot be checked at present", f"{error}.", 503)
        return _answer({"error": str(error)}, 503)
    # Caddy takes out an Authorization that was meant for us, and leaves a service its own.
    spent = {"X-Vault-Spent": "Authorization"} if token in _bearers(headers) else {}
    return _answer({"status": "ok"}, headers=identity_headers(identity) | spent)


async def _identify(request: Request) -> tuple[str, Identity]:
    refusal = "no token: send X-Vault-Token, or Authorization: Bearer"
    for token in _tokens(request):
        if not TOKEN.fullmatch(token):
            refusal = "malformed token: printable ASCII without blanks, 4096 bytes at most"
            continue
        try:
            return token, await look_up(request.state.vault, token)
        except TokenRefused:
            refusal = "Vault refuses the token: unknown, expired, revoked, or may not look itself up"
    raise Unauthorised(refusal)


def _tokens(request: Request) -> Iterator[str]:
    """What to try: Authorization may be meant for the service behind, X-Vault-Token is for us alone."""
    if token := token_from(request.headers):
        yield token
    if not request.headers.get("x-vault-token"):
        session = sign_in.token_of_session(request.headers, request.state.sign_in)
        yield from [session] if session else []


def token_from(headers: Headers) -> str:
    """The token that a request carries, "" when there is none. X-Vault-Token goes before Authorization."""
    return headers.get("x-vault-token") or next(_bearers(headers), "")


def _bearers(headers: Headers) -> Iterator[str]:
    for value in headers.getlist("authorization"):
        scheme, _, credentials = value.partition(" ")
        if scheme.lower() == "bearer":
            yield credentials.strip(" ")


def identity_headers(identity: Identity) -> dict[str, str]:
    """Whose token it is, as header values that no name can break out of."""
    headers = {
        "X-Vault-Display-Name": _escape(identity.display_name),
        "X-Vault-Policies": ",".join(map(_escape, identity.policies)),
    }
    if identity.entity_id:
        headers["X-Vault-Entity-Id"] = _escape(identity.entity_id)
    return headers


async def health(_: Request) -> Response:
    """Of the process alone: a sealed Vault must not get it restarted."""
    return _answer({"status": "ok"})


async def about(request: Request) -> Response:
    """What runs here."""
    endpoints = ["/validate", "/health", *(["/sign-in", "/sign-out"] if request.state.sign_in else [])]
    return _answer({"name": "vault-auth-validator", "version": __version__, "endpoints": endpoints})


async def refuse(_: Request, error: Exception) -> Response:
    """Unknown paths and methods, as JSON like everything else."""
    if not isinstance(error, HTTPException):  # Starlette's type for handlers is wider than what it passes
        raise error
    return _answer({"error": error.detail}, error.status_code, dict(error.headers or {}))


def _escape(text: str) -> str:
    return quote(text, safe=_PLAIN, errors="replace")


def _unauthorised(reason: str) -> Response:
    return _answer({"error": reason}, 401, {"WWW-Authenticate": "Bearer"})


def _answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(body, status, {"Cache-Control": "no-store", **(headers or {})})

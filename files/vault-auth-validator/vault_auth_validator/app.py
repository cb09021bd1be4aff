"""The HTTP side: /validate for Caddy's forward_auth, /health for the container, / for people."""

import logging
import re
from collections.abc import AsyncIterator
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

from vault_auth_validator import __version__
from vault_auth_validator.settings import Settings
from vault_auth_validator.vault import Identity, TokenRefused, VaultUnavailable, look_up, open_client

_log = logging.getLogger("vault_auth_validator")
_TOKEN = re.compile(r"[!-~]{1,4096}")
# What stands for itself in a header value: visible ASCII but the comma, which separates, and % itself.
_PLAIN = "!\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"


class _State(TypedDict):
    vault: httpx.AsyncClient


def create_app(settings: Settings) -> Starlette:
    """The ASGI application; its lifespan owns the client to Vault."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[_State]:
        async with open_client(settings.vault_addr) as vault:
            yield {"vault": vault}

    app = Starlette(
        routes=[Route("/", about), Route("/health", health), Route("/validate", Validate())],
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
    """200 and whose token it is, 401 for a token that is none, 503 when Vault cannot tell."""
    token = token_from(request.headers)
    if not token:
        return _unauthorised("no token: send X-Vault-Token, or Authorization: Bearer")
    if not _TOKEN.fullmatch(token):
        return _unauthorised("malformed token: printable ASCII without blanks, 4096 bytes at most")
    try:
        identity = await look_up(request.state.vault, token)
    except TokenRefused:
        return _unauthorised("Vault refuses the token: unknown, expired, revoked, or may not look itself up")
    except VaultUnavailable as error:
        _log.warning("no verdict: %s", error)
        return _answer({"error": str(error)}, 503)
    return _answer({"status": "ok"}, headers=identity_headers(identity))


def token_from(headers: Headers) -> str:
    """The token that a request carries, "" when there is none. X-Vault-Token goes before Authorization."""
    if token := headers.get("x-vault-token"):
        return token
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    return credentials.strip(" ") if scheme.lower() == "bearer" else ""


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


async def about(_: Request) -> Response:
    """What runs here."""
    return _answer(
        {"name": "vault-auth-validator", "version": __version__, "endpoints": ["/validate", "/health"]}
    )


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

"""Signing in with a browser: /sign-in turns a Vault token into a session cookie, /sign-out drops the cookie.

Signing out forgets the cookie and leaves the token alone, which may be in use elsewhere; who wants both gone
revokes the token (`vault token revoke`), and every session made from it ends at its next request.
"""

import logging
import time
from urllib.parse import parse_qsl, quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vault_auth_validator import pages, session, zones
from vault_auth_validator.settings import SignIn
from vault_auth_validator.vault import TOKEN, Identity, TokenRefused, VaultUnavailable, look_up

_log = logging.getLogger("vault_auth_validator")
_BODY_LENGTH = 32 * 1024
_REFUSED = "Vault refuses this token: it is mistyped, expired or revoked, or may not look itself up."


def routes() -> list[Route]:
    """What is served beside /validate when signing in is configured."""
    return [
        Route("/sign-in", show_form, methods=["GET"]),
        Route("/sign-in", sign_in, methods=["POST"]),
        Route("/sign-out", show_session, methods=["GET"]),
        Route("/sign-out", sign_out, methods=["POST"]),
    ]


async def show_form(request: Request) -> Response:
    """The form. A `return` that leads out of the zone is dropped here, and checked again when it is used."""
    zone = _here(request).zone
    way_back = request.query_params.get("return", "")
    return pages.sign_in(zone, way_back if zones.is_way_back(way_back, zone, _sign_in(request).zones) else "")


async def sign_in(request: Request) -> Response:
    """Exchange the token for a cookie, and go back to where the visitor wanted to go."""
    here = _here(request)
    if not _from_own_page(request.headers, here):
        return _foreign(here)
    fields = await _fields(request)
    way_back, token = fields.get("return", ""), fields.get("token", "").strip()
    try:
        identity = await _owner(request, token)
    except TokenRefused:
        return pages.sign_in(here.zone, way_back, 403, _REFUSED)
    except VaultUnavailable as error:
        _log.warning("no verdict: %s", error)
        return pages.sign_in(here.zone, way_back, 503, f"Nobody can sign in at present. {error}.")
    if not zones.is_way_back(way_back, here.zone, _sign_in(request).zones):
        way_back = "/sign-out"  # which says that one is signed in
    return _signed_in(_sign_in(request), here, token, identity, way_back)


async def show_session(request: Request) -> Response:
    """Signed in or not, and a button."""
    here = _here(request)
    signed_in = bool(token_of_session(request.headers, _sign_in(request)))
    return pages.session(here.zone, signed_in=signed_in)


async def sign_out(request: Request) -> Response:
    """Drop the cookie."""
    here = _here(request)
    if not _from_own_page(request.headers, here):
        return _foreign(here)
    response = pages.session(here.zone, signed_in=False)
    response.headers["Set-Cookie"] = session.set_cookie(here.zone, "", 0)
    return response


def token_of_session(headers: Headers, sign_in: SignIn | None) -> str:
    """The token in the request's session cookie, "" when there is no valid one."""
    if sign_in is None or not (place := visited(headers, sign_in)):
        return ""
    opened = (
        session.unseal(sign_in.key, place.zone, value, time.time()) for value in session.values(headers)
    )
    return next(filter(None, opened), "")


def visited(headers: Headers, sign_in: SignIn) -> zones.Place | None:
    """The host that the visitor asked for: Caddy sets X-Forwarded-Host itself and believes no client's."""
    return zones.place(headers.get("x-forwarded-host") or headers.get("host", ""), sign_in.zones)


def navigation(headers: Headers, sign_in: SignIn | None) -> zones.Place | None:
    """The guarded place that a person opens in a browser; None for API clients, scripts and forms."""
    if sign_in is None or headers.get("x-forwarded-method") != "GET":
        return None
    # A page's script may accept text/html, too, but cannot show a form to anyone.
    if headers.get("sec-fetch-mode", "navigate") != "navigate" or "text/html" not in headers.get(
        "accept", ""
    ):
        return None
    place = visited(headers, sign_in) if headers.get("x-forwarded-proto") == "https" else None
    # Were the sign-in host itself guarded, redirecting to it would never end.
    return None if place is None or place.is_host(sign_in.label) else place


def to_sign_in(headers: Headers, place: zones.Place, sign_in: SignIn) -> Response:
    """302 to the form, which leads back to the URL that was asked for."""
    url = f"https://{place.name}{place.port}{headers.get('x-forwarded-uri', '/')}"
    query = f"?return={quote(url, safe='')}" if zones.is_way_back(url, place.zone, sign_in.zones) else ""
    location = f"https://{place.sign_in_host(sign_in.label)}/sign-in{query}"
    return _redirect(302, location)


def _signed_in(sign_in: SignIn, here: zones.Place, token: str, identity: Identity, way_back: str) -> Response:
    seconds = session.lifetime(identity.ttl)
    value = session.seal(sign_in.key, here.zone, token, int(time.time()) + seconds)
    if len(value) > session.VALUE_LENGTH:
        error = "This token is too long for a cookie: use a service token instead of a batch token."
        return pages.sign_in(here.zone, way_back, 400, error)
    return _redirect(303, way_back, session.set_cookie(here.zone, value, seconds))


def _redirect(status: int, location: str, cookie: str = "") -> Response:
    # Not Starlette's RedirectResponse: that quotes, and the visitor is to come back to the very same URL.
    headers = {"Location": location, "Cache-Control": "no-store"}
    return Response(status_code=status, headers=headers | ({"Set-Cookie": cookie} if cookie else {}))


async def _owner(request: Request, token: str) -> Identity:
    if not TOKEN.fullmatch(token):
        raise TokenRefused
    return await look_up(request.state.vault, token)


def _sign_in(request: Request) -> SignIn:
    configured: SignIn = request.state.sign_in
    return configured


def _here(request: Request) -> zones.Place:
    """The sign-in host that is being visited; the pages exist on no other."""
    place = visited(request.headers, _sign_in(request))
    if place is None or not place.is_host(_sign_in(request).label):
        raise HTTPException(404)
    return place


def _from_own_page(headers: Headers, here: zones.Place) -> bool:
    """Whether our own page sent this form. A browser says so in at least one of the two headers."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    own = f"https://{here.name}{here.port}"
    return (origin or site) is not None and origin in (None, own) and site in (None, "same-origin")


def _foreign(here: zones.Place) -> Response:
    return pages.message(here.zone, "Not done", "This form was sent from another site's page.", 403)


async def _fields(request: Request) -> dict[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_LENGTH:
            raise HTTPException(413)
    return dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))

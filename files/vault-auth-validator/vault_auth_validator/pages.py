"""The pages for people, and the headers that keep them closed. No script, nothing loaded from anywhere."""

import base64
import hashlib
from html import escape

from starlette.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 26rem; margin: 12vh auto; padding: 0 1rem; }
label, input, button { display: block; font: inherit; }
label { font-weight: 600; }
input { box-sizing: border-box; width: 100%; padding: .5rem; margin: .25rem 0 1rem; }
button { padding: .5rem 1.25rem; }
[role=alert] { border-left: .25rem solid #c62828; padding-left: .75rem; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that a browser says "Origin: null" when it sends our own form.
    "Referrer-Policy": "same-origin",
}


def sign_in(zone: str, way_back: str, status: int = 200, error: str = "") -> HTMLResponse:
    """The form; `error` says what was wrong with what was sent last."""
    alert = f'<p role="alert" id="error">{escape(error)}</p>' if error else ""
    invalid = ' aria-invalid="true" aria-describedby="error"' if error else ""
    body = f"""{alert}<form method="post" action="/sign-in">
<input type="hidden" name="return" value="{escape(way_back)}">
<label for="token">Vault token</label>
<input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required autofocus{invalid}>
<button>Sign in</button>
</form>
<p>Whoever deploys this host gets one with <code>make token</code> for you: ask there. With an account of your own at
its Vault, <code>vault login</code> and <code>vault print token</code> give one, too.</p>"""
    return _page(f"Sign in to {zone}", body, zone, status)


def session(zone: str, *, signed_in: bool) -> HTMLResponse:
    """Whether this browser has a session here, and the button that ends it."""
    if not signed_in:
        return _page("You are signed out", f'<p><a href="/sign-in">Sign in to {escape(zone)}</a></p>', zone)
    body = """<form method="post" action="/sign-out"><button>Sign out</button></form>
<p>This browser forgets the session. The token itself counts until it expires, here and elsewhere.</p>"""
    return _page(f"You are signed in to {zone}", body, zone)


def message(zone: str, title: str, text: str, status: int) -> HTMLResponse:
    """A page that only says something."""
    return _page(title, f'<p role="alert">{escape(text)}</p>', zone, status)


def _page(title: str, body: str, zone: str, status: int = 200) -> HTMLResponse:
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body><main>
<h1>{escape(title)}</h1>
{body}
</main></body>
</html>
"""
    return HTMLResponse(html, status, {**_HEADERS, "Content-Security-Policy": _policy(zone)})


def _policy(zone: str) -> str:
    # Chromium holds form-action against the redirect that answers the form, too: that leads into the zone.
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' https://{zone}:* https://*.{zone}:*"
    )

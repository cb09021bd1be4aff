"""A browser's side of the vault-auth-validator's sign-in, spoken by hand, for tests."""

import html
import re

import httpx

from tests.validator import Validator

ZONES = "smarterbot.cl,smarterbot.store"
KEY = "0f" * 32
OWN = {"host": "api.smarterbot.cl", "origin": "https://api.smarterbot.cl", "sec_fetch_site": "same-origin"}
OPENED = {
    "x_forwarded_method": "GET",
    "x_forwarded_proto": "https",
    "x_forwarded_host": "app.smarterbot.cl",
    "x_forwarded_uri": "/a%20b?x=1&y=https://z/",
    "accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "sec_fetch_mode": "navigate",
}
ASKED = "https://app.smarterbot.cl/a%20b?x=1&y=https://z/"
FORM = (
    "https://api.smarterbot.cl/sign-in?return="
    "https%3A%2F%2Fapp.smarterbot.cl%2Fa%2520b%3Fx%3D1%26y%3Dhttps%3A%2F%2Fz%2F"
)
ATTRIBUTES = "; Domain=smarterbot.cl; Path=/; Max-Age={}; HttpOnly; Secure; SameSite=Lax"


def sign_in(validator: Validator, token: str, way_back: str = "") -> httpx.Response:
    return validator.send("/sign-in", {"token": token, "return": way_back}, **OWN)


def session(validator: Validator, token: str) -> str:
    """The pair name=value that a browser sends back."""
    return sign_in(validator, token).headers["set-cookie"].partition(";")[0]


def alert(response: httpx.Response) -> str:
    found = re.search(r'<p role="alert"[^>]*>(.*?)</p>', response.text)
    return html.unescape(found[1]) if found else ""


def opened(validator: Validator, **headers: str) -> tuple[int, str]:
    """Status and target of a browser's visit to a guarded page."""
    response = validator.ask("/validate", **(OPENED | headers))
    return response.status_code, response.headers.get("location", "")

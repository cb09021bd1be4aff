"""Dokploy's API from this machine, through the SSH connection: its port is published nowhere.

Keys and passwords travel in headers and bodies only, so that no command line and no output holds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.clients.lazily import lazily
from tasks.model.shapes import shown
from tasks.run import Refused, host

if TYPE_CHECKING:
    import requests

    from tasks.connection import tunnel_http
else:
    requests, tunnel_http = lazily("requests"), lazily("tasks.connection.tunnel_http")

PORT = 3000

# Seconds to connect, and for one answer.
_PATIENCE = (10, 60)


class Denied(Refused):
    """Dokploy does not take the credential."""


class Api:
    """A session with the Dokploy of the current host, whose container has this address. Raises Refused."""

    def __init__(self, address: str) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy of this machine between us and the container
        self._session.mount("http://", tunnel_http.Adapter(host(), PORT, address))

    def use_key(self, key: str) -> None:
        """From now on with this API key, and with nothing else."""
        self._session.cookies.clear()
        self._session.headers.pop("Cookie", None)
        self._session.headers["x-api-key"] = key

    def sign_in(self, email: str, password: str) -> None:
        """From now on as this user. Its cookie may be for HTTPS only, so it is passed on by hand."""
        self._session.headers.pop("x-api-key", None)
        answer = self._send("POST", "auth/sign-in/email", {"email": email, "password": password})
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in answer.cookies)
        self._session.cookies.clear()
        self._session.headers["Cookie"] = cookies

    def get(self, procedure: str) -> Any:
        """What a query without arguments answers."""
        return self._json("GET", procedure, None)

    def post(self, procedure: str, **fields: Any) -> Any:
        """What a change answers."""
        return self._json("POST", procedure, fields)

    def _json(self, method: str, procedure: str, fields: dict[str, Any] | None) -> Any:
        answer = self._send(method, procedure, fields)
        try:
            return answer.json()
        except (ValueError, RecursionError):
            raise Refused(
                f"Dokploy on {host().name} answers {procedure} with something else than JSON"
            ) from None

    def _send(self, method: str, procedure: str, fields: dict[str, Any] | None) -> requests.Response:
        url = f"http://dokploy:{PORT}/api/{procedure}"
        try:
            answer = self._session.request(method, url, json=fields, timeout=_PATIENCE, allow_redirects=False)
        except requests.RequestException as error:
            raise Refused(
                f"Dokploy on {host().name} does not answer {procedure} ({type(error).__name__}): "
                "see `docker logs dokploy`, then run again"
            ) from None
        if answer.status_code in (401, 403):
            raise Denied(f"Dokploy on {host().name} denies {procedure} ({answer.status_code})")
        if answer.status_code != 200:
            raise Refused(
                f"Dokploy on {host().name} refuses {procedure} ({answer.status_code}): {_message(answer)}"
            )
        return answer


def _message(answer: requests.Response) -> str:
    try:
        return shown(str(answer.json()["message"])[:300])
    except (ValueError, LookupError, TypeError, RecursionError):
        return "no reason given; see `docker logs dokploy`"

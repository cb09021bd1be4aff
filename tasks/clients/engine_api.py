"""The Engine API of a host's Docker, for what a swarm knows and does: one command on the host, through the connection that there is.

``docker system dial-stdio`` is the way that Docker's own client takes over SSH. What a service is made of travels in bodies alone:
nothing of it is in a command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pyinfra.api.host import Host

from tasks.clients.lazily import lazily
from tasks.model.shapes import shown
from tasks.run import Refused

if TYPE_CHECKING:
    import requests

    from tasks.connection import tunnel_http
else:
    requests, tunnel_http = lazily("requests"), lazily("tasks.connection.tunnel_http")

# Docker's from 26.0 on; 29 takes none older than 1.44.
VERSION = "v1.45"

# Seconds to connect, and for one answer.
_PATIENCE = (10, 60)
_FRAME = 8
# A service that somebody else has changed meanwhile: the version that was to be changed is no longer the newest.
_STALE = "update out of sequence"


class Stale(Refused):
    """Somebody else has changed it since it was read."""


class Api:
    """A session with one host's Docker. Raises Refused for what it does not take, with its own words."""

    def __init__(self, target: Host) -> None:
        self._target = target
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy of this machine between us and the host
        self._session.mount("http://", tunnel_http.Spoken(target, "docker system dial-stdio"))

    def get(self, path: str, **query: Any) -> Any:
        """What is there, as JSON; None where nothing is."""
        return self._asked("GET", path, query)

    def post(self, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """What a change answers. Raises Stale for an update of what is no longer as it was read."""
        return self._asked("POST", path, query, body)

    def delete(self, path: str) -> None:
        """Takes it away; what is gone already is no fault."""
        self._asked("DELETE", path, {})

    def log(self, path: str, lines: int) -> list[str]:
        """The last lines of a log, of both streams, as they came."""
        query = {"stdout": "true", "stderr": "true", "tail": str(lines)}
        answer = self._sent("GET", path, query)
        return [] if answer.status_code != 200 else _unframed(answer.content)[-lines:]

    def __enter__(self) -> Self:
        """Itself, until the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the command on the host."""
        self._session.close()

    def _asked(self, method: str, path: str, query: Mapping[str, Any], body: Any = None) -> Any:
        answer = self._sent(method, path, query, body)
        if answer.status_code == 404 and method != "POST":
            return None
        if answer.status_code >= 300:
            why = _message(answer)
            kind = Stale if _STALE in why else Refused
            raise kind(f"docker: {self._target.name} refuses {method} {path} ({answer.status_code}): {why}")
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise Refused(f"{self._silent(method, path)}: it is no JSON") from None

    def _sent(self, method: str, path: str, query: Mapping[str, Any], body: Any = None) -> requests.Response:
        url = f"http://docker/{VERSION}{path}"
        try:
            return self._session.request(method, url, params=query, json=body, timeout=_PATIENCE)
        except (requests.RequestException, OSError) as error:
            raise Refused(f"{self._silent(method, path)}: {shown(str(error)[:300])}") from None

    def _silent(self, method: str, path: str) -> str:
        return f"docker: its API on {self._target.name} does not answer {method} {path}"


def _unframed(data: bytes) -> list[str]:
    """What Docker sends of two streams as one: eight bytes before each part, the last four of them its length."""
    text = b""
    while len(data) >= _FRAME:
        length = int.from_bytes(data[4:_FRAME], "big")
        text += data[_FRAME : _FRAME + length]
        data = data[_FRAME + length :]
    return [shown(line) for line in text.decode(errors="replace").splitlines()]


def _message(answer: requests.Response) -> str:
    try:
        return shown(str(answer.json()["message"])[:500])
    except (ValueError, LookupError, TypeError, RecursionError):
        return "no reason given; see `journalctl -u docker`"

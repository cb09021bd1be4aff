"""What users do: the vocabulary in which a service's file tells it. ``make check`` does it (tasks/commands/check.py).

A service's ``users`` is a generator: each ``yield`` names the step that begins there, up to the next one. What a step has
made is registered with ``leaving``, so that nothing stays behind when a later one fails, or when the check is ended.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

# What the check makes is called so, where it may choose: what bears the name is its own.
NAME = "SmarterOS check"

# plain: HTTP on port 80.
Over = Literal["plain", "HTTP/1.1", "HTTP/2", "HTTP/3"]


@dataclass(frozen=True)
class Admin:
    """The first login of a service that would else give itself to its first visitor.

    restored: what brings back the password that is in Vault, where the service itself does that. changes: where it does not,
    how the admin signs in with a password (Denied where it is not taken) and, where there is a new one, gives themselves that.
    """

    login: str
    secret: str  # the service's secret that is the password
    owned: (
        str  # SQL in the service's own database: has a row once somebody is its admin, whoever that is by now
    )
    restored: str = ""
    changes: "Changes | None" = None


class Failed(Exception):
    """A step's failure, in words that hold no secret."""


class Denied(Failed):
    """The service does not let its first admin in with the password that is in Vault."""


class TooSoon(Failed):
    """The service takes no more sign-ins for a while."""


class Missing(Failed):
    """What the image has not, and the lab's cannot have; against a real image it is a failure like others."""


class OutOfReach(Failed):
    """What cannot be tried from this machine, and says nothing of the host."""


class Ended(BaseException):
    """The check is ended from outside: by what, or what had to be given up. No library on the way takes it for an error."""


@dataclass(frozen=True)
class Answer:
    """What a request is answered with; names of headers in lower case, the body unpacked."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    protocol: str = "HTTP/1.1"

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """What the body says. Raises Failed."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Failed(f"is answered with something else than JSON: {self.text[:200]}") from None


class Channel(Protocol):
    """A WebSocket on which JSON goes both ways."""

    def send(self, message: Any) -> None:
        """One message."""

    def until(self, wanted: Callable[[Any], bool], what: str, seconds: float = 20) -> Any:
        """The first message that is wanted; others are passed over. Raises Failed."""


class Visitor(Protocol):
    """Somebody at one service's public domain, with the first admin's login at hand. Keeps cookies. Raises Failed.

    domains: where the service answers, the proxy's are everybody's. A service without one is asked on the host's
    loopback. A route that is guarded is asked with a token of Vault's. services: all that are deployed.
    """

    login: str
    domains: tuple[str, ...]
    services: tuple[str, ...]

    def ask(  # noqa: PLR0913  a request has as many parts
        self,
        method: str,
        path: str,
        *,
        domain: str = "",
        over: Over = "HTTP/1.1",
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        expect: tuple[int, ...] = (200,),
        denied: tuple[int, ...] = (),
    ) -> Answer:
        """One request. expect: statuses, none for any. denied: those that mean that the login is not taken."""

    def get(self, path: str, **options: Any) -> Answer:
        """``ask`` with GET."""

    def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        """``ask`` with POST."""

    def delete(self, path: str, **options: Any) -> Answer:
        """``ask`` with DELETE."""

    def websocket(
        self, path: str, headers: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Channel]:
        """A WebSocket, opened as a page of the service opens it."""

    def until(self, done: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Asks again and again, until it is done."""

    def leaving(self) -> AbstractContextManager[ExitStack]:
        """What is registered there is done at the end, also when the check is ended meanwhile."""

    def secret(self, name: str) -> str:
        """One of the service's secrets, from Vault."""

    def token(self) -> AbstractContextManager[str]:
        """A token of Vault's that lives a minute and may do nothing but look itself up and revoke itself."""


Users = Callable[[Visitor], Iterator[str]]
# With whom: the visitor, the password of now, and the new one; empty to sign in alone.
Changes = Callable[[Visitor, str, str], None]

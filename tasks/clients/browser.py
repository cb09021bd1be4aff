"""A visitor of one service, as tasks/model/visitor.py describes it: through the SSH connection, TLS verified.

httpx speaks HTTP/1.1 and 2 over any socket that httpcore is given; websocket-client speaks over one that is connected.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpcore
import httpx

from tasks.clients import ending, http3, vault_token
from tasks.clients.channel import first, opened
from tasks.connection import tunnel
from tasks.connection.web import Transport
from tasks.model.shapes import masked
from tasks.model.targets import target
from tasks.model.visitor import Answer, Channel, Denied, Failed, OutOfReach, Over, TooSoon
from tasks.run import host

_PATIENCE = 60
# Waits before a request is sent again that came too soon for the service's rate limit.
_TOO_SOON = (5, 12)


@dataclass(frozen=True)
class Place:
    """What one service is asked as. port: on the host's loopback, where it has no domain. direct: not through the host, which
    is nobody whom allow_from lets in. vault: where its secrets are. services: all that are deployed.
    """

    domains: tuple[str, ...] = ()
    port: int = 0
    guarded: bool = False
    direct: bool = False
    login: str = ""
    vault: str = ""
    services: tuple[str, ...] = ()


class Browser:
    """The visitor; for the current host."""

    leaving = ending.Leaving

    def __init__(
        self, place: Place, secrets: Mapping[str, str], context: ssl.SSLContext, root: str = ""
    ) -> None:
        self.login, self.domains, self.services = place.login, place.domains, place.services
        self._place, self._secrets, self._context, self._root = place, secrets, context, root
        self._host = host()
        self._clients: dict[bool, httpx.Client] = {}
        self._token: tuple[float, AbstractContextManager[str], str] | None = None

    def ask(  # noqa: PLR0913  as the vocabulary has it
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
        """One request; again a little later where the service asks for that (429). Raises Failed, Ended."""
        ending.go_on()
        url = f"{self._base(domain, over)}{path}"
        what = f"{method} {path.partition('?')[0]}"
        if over == "HTTP/3":
            return self._over_quic(domain or self.domains[0], path)
        options = {"json": json, "data": form, "headers": {**self._guard(), **(headers or {})}}
        for wait in (*_TOO_SOON, 0):
            answer = self._sent(what, over, method, url, options)
            if answer.status != 429 or 429 in expect:
                break
            time.sleep(wait)
        if answer.status == 403 and self._place.direct:
            raise OutOfReach("allow_from does not let it in")
        if answer.status in denied:
            raise Denied(f"{what}: HTTP {answer.status}")
        if expect and answer.status not in expect:
            wanted = " or ".join(map(str, expect))
            said = "check again in some minutes" if answer.status == 429 else self._masked(answer.text)
            failed = TooSoon if answer.status == 429 else Failed
            raise failed(f"{what}: HTTP {answer.status}, expected {wanted}{': ' if said else ''}{said[:200]}")
        return answer

    def get(self, path: str, **options: Any) -> Answer:
        """``ask`` with GET."""
        return self.ask("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        """``ask`` with POST."""
        return self.ask("POST", path, json=json, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        """``ask`` with DELETE."""
        return self.ask("DELETE", path, **options)

    def until(self, done: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Asks twice a second, until it is done. Raises Failed."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise Failed(f"{what}: not within {seconds:.0f} s")
            time.sleep(0.5)

    def secret(self, name: str) -> str:
        """One of the service's secrets, from Vault. Raises Failed."""
        if name not in self._secrets:
            raise Failed(f"{self._place.vault}#{name} is not in Vault: {target('deploy')} fills it")
        return self._secrets[name]

    @contextmanager
    def token(self) -> Iterator[str]:
        """A token of Vault's that lives a minute."""
        with self.leaving() as leaving:
            yield leaving.enter_context(vault_token.minute())

    @contextmanager
    def websocket(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[Channel]:
        """A WebSocket, opened as a page of the service opens it. Raises Failed."""
        domain = self.domains[0]
        cookies = "; ".join(
            f"{cookie.name}={cookie.value}" for cookie in self._client(http2=False).cookies.jar
        )
        try:
            plain = self._connected(443)
            # Right before it is used: HTTP/2's client shares it.
            self._context.set_alpn_protocols(["http/1.1"])
            connected = self._context.wrap_socket(plain, server_hostname=domain)
        except OSError as error:
            raise Failed(f"WebSocket: {first(error)}") from None
        yield from opened(connected, domain, path, cookies, {**self._guard(), **(headers or {})})

    def close(self) -> None:
        """The end of the visit."""
        for client in self._clients.values():
            client.close()
        self._leave()

    def _base(self, domain: str, over: Over) -> str:
        if not self.domains:
            return f"http://127.0.0.1:{self._place.port}"
        return f"{'http' if over == 'plain' else 'https'}://{domain or self.domains[0]}"

    def _client(self, *, http2: bool) -> httpx.Client:
        if http2 not in self._clients:
            transport = Transport(self._connected, self._context, http2=http2)
            self._clients[http2] = httpx.Client(
                transport=transport, timeout=_PATIENCE, trust_env=False, headers={"User-Agent": "smarteros"}
            )
        return self._clients[http2]

    def _connected(self, port: int) -> socket.socket:
        if self._place.direct:
            return socket.create_connection((self._outside(), port), timeout=10)
        return tunnel.connect(self._host, port)

    def _outside(self) -> str:
        if address := tunnel.outside(self._host):
            return address
        raise OutOfReach("the host is reached through another one")

    def _sent(self, what: str, over: Over, method: str, url: str, options: dict[str, Any]) -> Answer:
        try:
            answer = self._client(http2=over == "HTTP/2").request(method, url, **options)
        except (
            httpx.HTTPError,
            httpcore.TimeoutException,
            httpcore.NetworkError,
            httpcore.ProtocolError,
        ) as error:
            said = self._masked(str(error)) or type(error).__name__
            raise Failed(f"{what}: no answer ({said})") from None
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, answer.content, headers, answer.http_version)

    def _guard(self) -> dict[str, str]:
        """A guarded route's key; the next one before a minute is over."""
        if not self._place.guarded:
            return {}
        if not self._token or time.monotonic() - self._token[0] > vault_token.FRESH:
            self._leave()
            made = vault_token.minute()
            self._token = (time.monotonic(), made, made.__enter__())
        return {"X-Vault-Token": self._token[2]}

    def _leave(self) -> None:
        token, self._token = self._token, None
        if token:
            token[1].__exit__(None, None, None)

    def _over_quic(self, domain: str, path: str) -> Answer:
        address = self._outside()
        root = Path(self._root).expanduser().read_bytes() if self._root else b""
        try:
            return Answer(http3.get(address, domain, path, root), protocol="HTTP/3")
        except http3.Ended as error:
            raise Failed(f"HTTP/3: {error}") from None
        except OSError as error:
            try:
                socket.create_connection((address, 443), timeout=5).close()
            except OSError:
                raise OutOfReach(f"neither 443/tcp nor 443/udp of {address} answers here") from None
            raise Failed(
                f"HTTP/3: {error} from 443/udp of {address}, while 443/tcp is open: let 443/udp through where the host is"
            ) from None

    def _masked(self, text: str) -> str:
        return masked(text, self._secrets)

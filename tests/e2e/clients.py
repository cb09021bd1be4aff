"""How users reach a host of the lab: HTTPS by name (HTTP/1.1, 2 and 3), Vault's API, what Docker says."""

import asyncio
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import hvac
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

from tests.e2e.deployment import Deployment
from tests.e2e.vault_access import opened
from tests.lab.hosts import LabHost
from tests.openbao import free_port


class _ByName(httpx.HTTPTransport):
    """Every name leads to one address; SNI, the certificate's check and the header Host keep the name."""

    def __init__(self, address: str, kept: int = 0, **options: Any) -> None:
        self._address = address
        # No connection is used twice, unless they are kept: each request has a TLS handshake for its own name.
        super().__init__(limits=httpx.Limits(max_keepalive_connections=kept), **options)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """For httpx: the same request, to our address."""
        moved = httpx.Request(
            request.method,
            request.url.copy_with(host=self._address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return super().handle_request(moved)


def trust(deployment: Deployment) -> ssl.SSLContext:
    """Nothing is trusted but the lab's ACME server."""
    return ssl.create_default_context(cafile=str(deployment.lab.acme_root()))


def browser(deployment: Deployment, *, http2: bool = False, kept: int = 0) -> httpx.Client:
    """A client for https://<domain>/… and http://<domain>/… of the host, that follows no redirect. kept: so many of its connections,
    for who asks one domain alone.
    """
    transport = _ByName(deployment.host.address, kept, verify=trust(deployment), http1=not http2, http2=http2)
    return httpx.Client(transport=transport, timeout=30, trust_env=False)


def http3(deployment: Deployment, domain: str, path: str = "/") -> tuple[int, bytes]:
    """Status and body of one GET over QUIC."""
    return asyncio.run(_http3(deployment, domain, path))


async def _http3(deployment: Deployment, domain: str, path: str) -> tuple[int, bytes]:
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=domain)
    configuration.load_verify_locations(cafile=str(deployment.lab.acme_root()))
    address = deployment.host.address
    async with connect(address, 443, configuration=configuration, create_protocol=_Http3) as protocol:
        return await asyncio.wait_for(cast("_Http3", protocol).get(domain, path), timeout=20)


class _Http3(QuicConnectionProtocol):
    """One GET request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self._answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._status, self._body = 0, b""

    async def get(self, domain: str, path: str) -> tuple[int, bytes]:
        headers = {":method": "GET", ":scheme": "https", ":authority": domain, ":path": path}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._http.send_headers(self._quic.get_next_available_stream_id(), encoded, end_stream=True)
        self.transmit()
        return await self._answer

    def quic_event_received(self, event: QuicEvent) -> None:
        """For aioquic: one event of the connection."""
        for found in self._http.handle_event(event):
            if isinstance(found, HeadersReceived):
                self._status = int(dict(found.headers)[b":status"])
            if isinstance(found, DataReceived):
                self._body += found.data
            if isinstance(found, HeadersReceived | DataReceived) and found.stream_ended:
                self._answer.set_result((self._status, self._body))


def containers(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """`docker inspect` of every container on the host, by name. What a swarm keeps of tasks that have ended is none."""
    inspected: list[dict[str, Any]] = json.loads(deployment.sh("docker inspect $(docker ps -aq)"))
    task = "com.docker.swarm.task.id"
    found = [
        item for item in inspected if item["State"]["Running"] or task not in (item["Config"]["Labels"] or {})
    ]
    return {item["Name"].removeprefix("/"): item for item in found}


def kept_file(deployment: Deployment) -> Path:
    """The file it is kept in."""
    return deployment.lab.state.folder / "state" / deployment.host.name / "vault.json"


@contextmanager
def loopback(host: LabHost, port: int) -> Iterator[int]:
    """A port of this machine that leads to a port of the host's loopback."""
    ours = free_port()
    *ssh, login = host.ssh()
    tunnel = [*ssh, "-N", "-oExitOnForwardFailure=yes", "-L", f"127.0.0.1:{ours}:127.0.0.1:{port}", login]
    with subprocess.Popen(tunnel, stdin=subprocess.DEVNULL) as process:
        try:
            _wait_for(ours, process)
            yield ours
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"ssh -L {port} does not come up")


def service_token(client: hvac.Client, service: str) -> str:
    """A token of the service's AppRole; the deployer's credential makes its secret_id."""
    role_id = client.auth.approle.read_role_id(service)["data"]["role_id"]
    secret_id = client.auth.approle.generate_secret_id(service)["data"]["secret_id"]
    login = client.auth.approle.login(role_id, secret_id, use_token=False)
    return str(login["auth"]["client_token"])


def restart_vault(deployment: Deployment) -> None:
    """Vault anew on a host that does not unseal it; back when it answers, sealed."""
    deployment.sh("systemctl stop smarteros-unseal && docker restart vault")
    until_healthy(deployment, "vault")


def until_healthy(deployment: Deployment, container: str) -> None:
    """Until Docker has asked for its health once: before, a run finds it starting, and waits for it as a change."""
    healthy = f"docker inspect --format {{{{.State.Health.Status}}}} {container} | grep -qx healthy"
    deployment.sh(f"timeout 60 sh -c 'until {healthy}; do sleep 0.2; done'")


def secrets(deployment: Deployment, service: str) -> dict[str, str]:
    """What Vault holds for a service."""
    with opened(deployment) as found:
        return found.read(service)[0]


@contextmanager
def n8n_owner(deployment: Deployment, token: str = "") -> Iterator[httpx.Client]:
    """A browser that has logged in to n8n as its owner, with the password from Vault; token: for the guard before it. Who logs in for
    the sixth time in a minute is told to wait for the next one.
    """
    password = secrets(deployment, "n8n")["N8N_OWNER_PASSWORD"]
    login = {"emailOrLdapLoginId": "ops@smarterbot.cl", "password": password}
    with browser(deployment) as session:
        session.headers.update({"browser-id": "test"} | ({"x-vault-token": token} if token else {}))
        until = time.monotonic() + 90
        while (answer := session.post("https://n8n.smarterbot.cl/rest/login", json=login)).status_code == 429:
            assert time.monotonic() < until, "n8n tells who logs in to wait, for 90 s by now"
            time.sleep(5)
        answer.raise_for_status()
        yield session

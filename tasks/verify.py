"""Verify: every service answers as its users reach it, through Caddy, by name, over TLS.

From this machine through the SSH connection, so that it holds before the world's DNS knows the host.
Read only: a run that finds everything well reports no change.
"""

import http.client
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gevent
from pyinfra import logger
from pyinfra.api.host import Host

from tasks import recover
from tasks.connection import tunnel
from tasks.facts import DockerFact, ProxyTroubleFact
from tasks.model import catalogue, image_names
from tasks.model.catalogue import Route, Service
from tasks.operations import dns, postgres, swarm_standing, takeover
from tasks.rendering.render import image
from tasks.run import Commands, Refused, executing, host, known, operation, remember, services, stack
from tasks.services import load

# A first deploy orders its certificates while this waits.
_PATIENCE = 90

# OpenSSL's: signed by nobody that is trusted. Caddy shows no certificate while it waits for one of another
# authority, but an expired one while it is renewed.
_NEVER_TRUSTED = (18, 19, 20, 21)

_LET_IN = (
    "allow_from lets in smarter-net's own addresses, from where everybody seems to come who comes over IPv6"
)


@dataclass(frozen=True)
class Answer:
    """What a user of a domain gets: HTTP status and the authority that signed the certificate, or why not."""

    domain: str
    status: int = 0
    issuer: str = ""
    problem: str = ""
    final: bool = False  # it is no use to wait
    bare: bool = False  # there is no certificate yet
    astray: bool = False  # and none is to be had: the name leads elsewhere


def run() -> None:
    """The phase."""
    verified(name="Verify | every service answers by name over TLS")
    if stack().takeover:
        takeover.stands(name="Verify | the takeover stands")
    # Until here the same command goes on where it was cut short, also where a domain leads elsewhere yet.
    recover.finished()


@operation
def verified() -> Commands:
    """Asks all domains at once, fails the host when one does not answer as it should, or Postgres is shut; prints the table."""
    if not executing():
        return
    yield from ()
    asked = [
        (service, route, name) for service, route in _routes() for name in catalogue.domains(stack(), route)
    ]
    context = trust()
    deadline = time.monotonic() + _PATIENCE
    jobs = [gevent.spawn(_ask, host(), route, name, context) for _, route, name in asked]
    gevent.joinall(jobs)
    answers = {job.value.domain: job.value for job in jobs}
    astray = _astray(answers)
    # Those of an old proxy's visitors who come would find nobody: behind a CDN a certificate may still come.
    if len(astray) == len(answers) and takeover.unproven():
        astray = {}
    answers |= astray
    waiting = [
        gevent.spawn(_patiently, host(), route, name, context, deadline)
        for _, route, name in asked
        if answers[name].problem and not answers[name].astray
    ]
    gevent.joinall(waiting)
    answers |= {job.value.domain: job.value for job in waiting}
    for line in table(answers):
        logger.info(line)
    broken = [answer for answer in answers.values() if answer.problem and not answer.astray]
    if lines := [*_wrong(broken), *postgres.refusals()]:
        put_back = (yield from takeover.put_back()) if broken else ""
        reasons = "".join(f"\n    {line}" for line in lines)
        raise Refused(f"{host().name} does not answer as it should:{reasons}{put_back}")


def _wrong(broken: Iterable[Answer]) -> Iterator[str]:
    """Why domains do not answer; nothing where all do."""
    lines = [f"https://{answer.domain}: {answer.problem}" for answer in broken]
    yield from lines
    if lines:
        yield from (f"the proxy says: {line}" for line in known(ProxyTroubleFact))
        yield "see `docker logs caddy-proxy`"


def _astray(answers: dict[str, Answer]) -> dict[str, Answer]:
    """Of those without a certificate the ones that can have none now, each with a warning; the others are worth waiting for."""
    bare = [answer.domain for answer in answers.values() if answer.bare]
    leads = dns.elsewhere(bare)
    for name, where in leads.items():
        host().log_styled(dns.said(name, where, dns.wanted(bare)), fg="yellow", log_func=logger.warning)
    return {name: replace(answers[name], astray=True) for name in leads}


def _routes() -> list[tuple[Service, Route]]:
    if not any(service.phase == "proxy" for service in services()):
        return []
    return [(service, route) for service in load(stack()) for route in service.routes]


def trust() -> ssl.SSLContext:
    """The authorities that the certificates have to be from; loaded once a run. Raises Refused."""
    return remember("trust", _trust)


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if root := stack().trusted_root:
        path = Path(root).expanduser()
        if not path.is_file():
            raise Refused(f"trusted_root: {root} does not exist on this machine")
        try:
            context.load_verify_locations(path)
        except OSError as error:  # SSLError is one
            why = error.strerror or type(error).__name__
            raise Refused(f"trusted_root: {root} holds no certificate that can be read ({why})") from None
    return context


def _patiently(target: Host, route: Route, domain: str, context: ssl.SSLContext, deadline: float) -> Answer:
    while True:
        answer = _ask(target, route, domain, context)
        if not answer.problem or answer.final or time.monotonic() > deadline:
            return answer
        gevent.sleep(0.5)


def _ask(target: Host, route: Route, domain: str, context: ssl.SSLContext) -> Answer:
    """What is closed has to refuse us: we bring no token, and come from Docker's own network, which nobody may let in."""
    path, expect = route.check, route.expect
    if route.guard or route.allow_from:
        expect = (403 if route.allow_from else 401,)
    try:
        with context.wrap_socket(tunnel.connect(target, 443), server_hostname=domain) as tls:
            issuer = _issuer(tls)
            connection = http.client.HTTPConnection(domain)  # an HTTPS one would load all authorities again
            connection.sock = tls
            connection.request("GET", path, headers={"Connection": "close"})
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        final = getattr(error, "verify_code", 0) in _NEVER_TRUSTED
        bare = getattr(error, "reason", "") == "TLSV1_ALERT_INTERNAL_ERROR"
        return Answer(domain, problem=f"{type(error).__name__}: {error}", final=final, bare=bare)
    problem = "" if status in expect else f"HTTP {status} on {path}, expected {' or '.join(map(str, expect))}"
    if problem and route.allow_from and status in (*route.expect, 401):
        problem += f" ({_LET_IN})"
    return Answer(domain, status, issuer, problem)


def _issuer(tls: ssl.SSLSocket) -> str:
    certificate: dict[str, Any] = tls.getpeercert() or {}
    names: dict[str, str] = dict(pair for item in certificate.get("issuer", ()) for pair in item)
    return names.get("organizationName") or names.get("commonName", "unknown")


def table(answers: dict[str, Answer]) -> list[str]:
    """Service, URL, HTTP status, TLS issuer, health, image: one line for each domain, or each service without one."""
    rows = [("SERVICE", "URL", "HTTP", "TLS ISSUER", "HEALTH", "IMAGE")]
    found, tasks = known(DockerFact).containers, swarm_standing.running(services())
    # What copies away runs for a moment at a time.
    for service in (item for item in services() if item.phase != "backup"):
        main = service.main
        state = found.get(main.name)
        health = tasks.get(main.name) or (state.health or state.status if state else "missing")
        names = [name for route in service.routes for name in catalogue.domains(stack(), route)]
        for name in names or [""]:
            answer = answers.get(name, Answer(name))
            url = f"https://{name}/" if name else "-"
            issuer, shown = answer.issuer or "-", image_names.short(image(main))
            rows.append((service.name, url, str(answer.status or "-"), issuer, health, shown))
    widths = [max(len(row[index]) for row in rows) for index in range(6)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]

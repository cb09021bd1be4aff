"""What visitors notice of each kind of change: 50 requests a second over all domains, whoever has to wait, and WebSockets that stay
open. ``python -m tests.bench.visitors --check``, on a host that runs everything; about twenty minutes.
"""

import argparse
import asyncio
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from typing import Any

import httpcore
import httpx

from tasks.model.catalogue import Service
from tasks.services import load
from tests.e2e.clients import browser, n8n_owner, trust
from tests.e2e.deployment import Deployment, Run
from tests.e2e.test_bad_image import publish
from tests.e2e.test_web import ANSWERS
from tests.e2e.websockets import connected, pong
from tests.lab import smarteros
from tests.lab.lab import Lab

RATE, PATIENCE = 50, 300
SOCKETS: dict[str, Any] = {
    "chatwoot": (browser, "https://crm.smarterbot.cl/cable"),
    "botpress": (browser, "https://bot.smarterbot.cl/socket.io/?EIO=4&transport=websocket"),
    "odoo": (browser, "https://erp.smarterbot.cl/websocket"),
    "n8n": (n8n_owner, "https://n8n.smarterbot.cl/rest/push?pushRef=t"),
}
# A page that needs the database, which what says of its health does not.
PAGES = {domain: path for domain, (path, _) in ANSWERS.items()} | {"erp.smarterbot.cl": "/web/login"}
SERVICES = ("chatwoot", "botpress", "n8n", "odoo", "metabase", "mcp-registry", "vault-auth-validator")
# Of those that have visitors; the MCP registry has no secret.
ROTATED = ("chatwoot", "botpress", "n8n", "odoo", "metabase", "dokploy", "vault-auth-validator")
# Doubles whose programs take longer than this to start: what a deploy adds to it is no matter of a start of one second.
SLOW: dict[str, Any] = {
    name: {"environment": {"DOUBLE_STARTS_IN": "10"}}
    for name in ("chatwoot", "botpress", "metabase", "dokploy")
}
# Metabase's own program: 34 s on a host of 16 GB.
SLOWEST: dict[str, Any] = {"DOUBLE_STARTS_IN": "34"}
GOOD, LATER, BAD = (f"caddy:2.11.{number}-alpine" for number in ("7", "96", "97"))
ROTATE, ROLLBACK = (f"tasks.commands.{name}.run" for name in ("rotate", "rollback"))


@dataclass
class Noticed:
    """times: seconds of each answer, by domain. failed: what came in place of 200, and how often. lost: services whose WebSocket ended."""

    times: dict[str, list[float]] = field(default_factory=lambda: {domain: [] for domain in ANSWERS})
    failed: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def p99(self) -> float:
        """Milliseconds, of all domains."""
        every = sorted(seconds for times in self.times.values() for seconds in times)
        return 1000 * every[int(len(every) * 0.99)]

    def longest(self) -> tuple[float, str]:
        """Seconds, and at which domain."""
        return max((max(times), domain) for domain, times in self.times.items() if times)


class Visitors:
    """Those of one host."""

    def __init__(self, host: Deployment) -> None:
        self.host, self._tls = host, trust(host)

    @contextmanager
    def noticing(self) -> Iterator[Noticed]:
        """Until the end of the block; every request has its answer then."""
        noticed, over = Noticed(), threading.Event()
        opened = threading.Barrier(len(SOCKETS) + 1, timeout=120)
        threads = [
            threading.Thread(target=self._stay, args=(name, noticed, over, opened), daemon=True)
            for name in SOCKETS
        ]
        threads.append(threading.Thread(target=lambda: asyncio.run(self._visit(noticed, over)), daemon=True))
        for thread in threads:
            thread.start()
        opened.wait()
        try:
            yield noticed
        finally:
            over.set()
            for thread in threads:
                thread.join()

    async def _visit(self, noticed: Noticed, over: threading.Event) -> None:
        domains, tasks = cycle(ANSWERS), set[asyncio.Task[None]]()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(verify=self._tls, trust_env=False, limits=limits) as session:
            due = time.monotonic()
            while not over.is_set():
                task = asyncio.create_task(self._ask(session, next(domains), noticed))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                due += 1 / RATE
                await asyncio.sleep(max(0, due - time.monotonic()))
            await asyncio.gather(*tasks)

    async def _ask(self, session: httpx.AsyncClient, domain: str, noticed: Noticed) -> None:
        began = time.monotonic()
        try:
            answer = await session.get(
                f"https://{self.host.host.address}{PAGES[domain]}",
                headers={"Host": domain},
                extensions={"sni_hostname": domain},
                timeout=PATIENCE,
            )
            if answer.status_code != 200:
                noticed.failed[f"{domain} {answer.status_code}"] += 1
        except httpx.HTTPError as error:
            noticed.failed[f"{domain} {type(error).__name__}"] += 1
        noticed.times[domain].append(time.monotonic() - began)

    def own(self, service: Service) -> tuple[float, float]:
        """Seconds that its containers take to end once Docker tells them to, and from when it starts them until it calls them healthy,
        with all visitors there.
        """
        names = " ".join(container.name for container in service.containers if not container.job)
        with self.noticing():
            end, start = self.host.sh(_OWN.replace("@names", names)).split()
        return float(end), float(start)

    def _stay(self, name: str, noticed: Noticed, over: threading.Event, opened: threading.Barrier) -> None:
        who, url = SOCKETS[name]
        with who(self.host) as session, connected(session, url) as socket:
            opened.wait()
            try:
                while not over.wait(1):
                    pong(*socket)
            except (AssertionError, OSError, httpcore.NetworkError, httpcore.TimeoutException):
                noticed.lost.append(name)


_OWN = """
set -e
told=$(date +%s%N)
docker stop @names >/dev/null
begun=$(date +%s%N)
docker start @names >/dev/null
for name in @names; do
    until [ "$(docker inspect --format '{{.State.Health.Status}}' "$name")" = healthy ]; do sleep 0.05; done
done
echo "$told $begun $(date +%s%N)" | awk '{ print ($2 - $1) / 1e9, ($3 - $2) / 1e9 }'
"""


@dataclass(frozen=True)
class Change:
    """One of them. touched: services whose visitors may have to wait, and whose WebSockets may end. code: how it ends. rolls: nobody
    has to wait. held: the service whose own start is what its visitors may wait for. within: as many of those starts may all of it take.
    """

    name: str
    made: Callable[[], Run]
    touched: tuple[str, ...]
    code: int = 0
    rolls: bool = False
    held: str = ""
    within: float = 0


def changes(host: Deployment) -> Iterator[Change]:
    """In their order: what one leaves is what the next begins with."""
    run = partial(host.run, overrides=SLOW)
    rolling = {service.name for service in load(smarteros.settings()) if service.rollout == "rolling"}
    for service in SERVICES:
        environment = {**SLOW.get(service, {}).get("environment", {}), "LATER": "yes"}
        changed = {**SLOW, service: {"environment": environment}}
        rolls = service in rolling
        yield Change(
            f"setting of {service}",
            partial(host.run, overrides=changed),
            (service,),
            rolls=rolls,
            held="" if rolls else service,
        )
        host.converge(overrides=SLOW)
    mcp = {**SLOW, "mcp-registry": {"image": LATER}}
    yield Change("image of mcp-registry", partial(host.run, overrides=mcp), ("mcp-registry",), rolls=True)
    yield Change(
        "rollback of it", partial(host.run, deploy=ROLLBACK, overrides=mcp), ("mcp-registry",), rolls=True
    )
    host.converge(overrides=SLOW)
    before, after = (
        {**SLOW, "metabase": {"environment": {**SLOWEST, **more}}} for more in ({}, {"LATER": "yes"})
    )
    host.converge(overrides=before)
    host.converge(overrides=after)
    back = partial(host.run, deploy=ROLLBACK, overrides=after)
    yield Change("rollback of metabase", back, ("metabase",), held="metabase", within=1.5)
    host.converge(overrides=SLOW)
    bad = {**SLOW, "mcp-registry": {"image": BAD, "health_seconds": 6}}
    yield Change("bad image of it", partial(host.run, overrides=bad), ("mcp-registry",), code=1, rolls=True)
    host.converge(overrides=SLOW)
    guard = {**SLOW, "mcp-registry": {"guard": True, "public": ["/v0/*"]}}
    yield Change("Caddyfile", partial(host.run, overrides=guard), ("mcp-registry",))
    host.converge(overrides=SLOW)
    proxy = {**SLOW, "caddy": {"environment": {"LATER": "yes"}}}
    yield Change("Caddy itself", partial(host.run, overrides=proxy), tuple(SOCKETS))
    host.converge(overrides=SLOW)
    for service in (*ROTATED, "redis", "postgres"):
        rotated = {"SMARTEROS_SERVICE": service}
        # A new password of Postgres' own touches nobody.
        users = {"redis": SERVICES, "postgres": ()}.get(service, (service,))
        rolls = service in ("vault-auth-validator", "odoo")
        yield Change(
            f"rotation of {service}",
            partial(run, deploy=ROTATE, environment=rotated),
            users,
            rolls=rolls,
            held=service if service in users and not rolls else "",
        )


@contextmanager
def _elsewhere() -> Iterator[None]:
    """What this thread starts leaves the machine's cores to others: an operator's computer is another than the host."""
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, 19)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, thread, 0)


def main() -> int:
    """Prints a line for each; with ``--check``, exit code 1 where a request failed, a WebSocket ended that was none of its business, or
    p99 was more than twice that of runs that change nothing while a service rolled (this machine's cores are the host's and the
    operator's here), or somebody was held for more than 1.2 times the container's own start.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", default="bench", help="a lab of this name, made unless it is there")
    parser.add_argument("--host", default="visited", help="its host, made and deployed unless it is there")
    parser.add_argument("--only", default="", help="changes whose name has this in it")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a limit is passed")
    given = parser.parse_args()
    lab = Lab(given.lab)
    smarteros.prepare(lab, [given.host])
    host = Deployment(lab, lab.host(given.host))
    lab.point(smarteros.domains(), host.host)
    host.converge(overrides=SLOW)
    publish(lab, GOOD, LATER, ["LABEL later=yes"])
    publish(lab, GOOD, BAD, ['ENTRYPOINT ["false"]'])
    visitors = Visitors(host)
    with visitors.noticing() as alone:
        time.sleep(30)
    print(f"nothing at work: p99 {alone.p99():.0f} ms, longest {alone.longest()[0]:.2f} s", flush=True)
    with visitors.noticing() as before, _elsewhere():
        for _ in range(5):
            host.unchanged(overrides=SLOW)
    print(f"no-op, five times: p99 {before.p99():.0f} ms, longest {before.longest()[0]:.2f} s", flush=True)
    good = not any((alone.failed, alone.lost, before.failed, before.lost))
    found = {service.name: service for service in load(smarteros.settings())}
    for change in changes(host):
        if given.only not in change.name:
            continue
        # Right before: how long one takes is this machine's matter, and changes within minutes.
        ends, own = visitors.own(found[change.held]) if change.held else (0, 0)
        with visitors.noticing() as noticed:
            time.sleep(2)
            with _elsewhere():
                began = time.monotonic()
                run = change.made()
                took = time.monotonic() - began
            time.sleep(2)
        assert run.code == change.code, run.output[-6000:]
        lost = set(noticed.lost) - set(change.touched)
        good = good and not noticed.failed and not lost
        good = good and (not change.rolls or noticed.p99() <= 2 * before.p99())
        seconds, where = noticed.longest()
        good = good and (not own or seconds <= 1.2 * own)
        good = good and (not change.within or took <= change.within * own)
        print(
            f"{change.name}: {took:.0f} s, {noticed.failed.total()} failed of {sum(map(len, noticed.times.values()))}, p99 {noticed.p99():.0f} ms, "
            f"longest {seconds:.1f} s at {where}"
            f"{f' ({seconds / own:.2f} of its own start of {own:.1f} s; it ends in {ends:.1f} s)' if own else ''}; WebSockets ended: {', '.join(noticed.lost) or 'none'}",
            *(f"{what}: {many}" for what, many in noticed.failed.items()),
            flush=True,
        )
    return 1 if given.check and not good else 0


if __name__ == "__main__":
    sys.exit(main())

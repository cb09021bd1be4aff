"""Load: requests at a steady rate over all domains, and an open WebSocket, while something happens; what they got, and how long they waited."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.e2e.clients import browser
from tests.e2e.deployment import Deployment
from tests.e2e.test_web import ANSWERS
from tests.e2e.websockets import connected, pong

RATE = 50  # a second, over all
_PATIENCE = 300


@dataclass(frozen=True)
class Answer:
    """One request: to whom, when it was due (of time.time), what came, after how many seconds from then."""

    domain: str
    due: float
    came: str
    seconds: float


@dataclass
class Load:
    """answers: of all requests. reopened: seconds after which a WebSocket that was closed was open again; failed: of those that were not."""

    answers: list[Answer] = field(default_factory=list)
    reopened: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def came(self) -> Counter[str]:
        """What came how often."""
        return Counter(item.came for item in self.answers)

    def p99(self, since: float = 0, until: float = float("inf"), domain: str = "", but: str = "") -> float:
        """Seconds within which 99 of 100 were answered, of all domains, of one, or of all but one."""
        took = sorted(
            item.seconds
            for item in self.answers
            if since <= item.due < until and domain in ("", item.domain) and item.domain != but
        )
        return took[min(len(took) - 1, len(took) * 99 // 100)]

    def longest(self, domain: str) -> float:
        """Seconds of its slowest answer."""
        return max(item.seconds for item in self.answers if item.domain == domain)


@contextmanager
def under_load(deployment: Deployment, socket: str) -> Iterator[Load]:
    """Meanwhile each domain is asked again and again, when it is due and not when the last answer came; all have come at the end.

    socket: the address of a WebSocket, which is opened anew as often as it is closed.
    """
    load, over = Load(), threading.Event()
    began = time.time() + 0.5

    def ask(number: int, domain: str, path: str) -> None:
        with browser(deployment, kept=1) as session:
            due = began + number / RATE
            while not over.wait(max(0.0, due - time.time())):
                try:
                    came = str(session.get(f"https://{domain}{path}", timeout=_PATIENCE).status_code)
                except httpx.HTTPError as error:
                    came = repr(error)
                load.answers.append(Answer(domain, due, came, time.time() - due))
                due += len(ANSWERS) / RATE

    def listen() -> None:
        closed = None
        while not over.is_set():
            try:
                with browser(deployment) as session, connected(session, socket) as opened:
                    if closed is not None:
                        load.reopened.append(time.monotonic() - closed)
                    closed = _closed(opened, over)
            except (httpx.HTTPError, AssertionError) as error:
                load.failed.append(repr(error))
                closed = time.monotonic() if closed is None else closed

    threads = [
        threading.Thread(target=ask, args=(number, domain, path), daemon=True)
        for number, (domain, (path, _)) in enumerate(ANSWERS.items())
    ]
    threads.append(threading.Thread(target=listen, daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        over.set()
        for thread in threads:
            thread.join(_PATIENCE)


def _closed(opened: tuple, over: threading.Event) -> float:  # type: ignore[type-arg]
    """When the WebSocket stopped to answer."""
    while not over.wait(0.2):
        try:
            pong(*opened)
        except Exception:  # noqa: BLE001  whatever way it ends
            return time.monotonic()
    return time.monotonic()

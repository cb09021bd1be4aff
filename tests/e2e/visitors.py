"""Visitors: requests to one address without a pause while something happens; what they got, and how long they waited."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.e2e.clients import browser
from tests.e2e.deployment import Deployment

_VISITORS = 4
_PATIENCE = 300


@dataclass
class Visits:
    """answers: HTTP status or what failed → how often. longest: seconds of the slowest answer."""

    answers: dict[str, int] = field(default_factory=dict)
    longest: float = 0


@contextmanager
def visiting(deployment: Deployment, url: str) -> Iterator[Visits]:
    """Meanwhile some visitors ask for the address, each one thing after the other; all have their answers at the end."""
    visits, over, lock = Visits(), threading.Event(), threading.Lock()

    def visit(session: httpx.Client) -> None:
        with session:
            while not over.is_set():
                began = time.monotonic()
                try:
                    answer = str(session.get(url, timeout=_PATIENCE).status_code)
                except httpx.HTTPError as error:
                    answer = repr(error)
                with lock:
                    visits.answers[answer] = visits.answers.get(answer, 0) + 1
                    visits.longest = max(visits.longest, time.monotonic() - began)
                time.sleep(0.05)

    threads = [
        threading.Thread(target=visit, args=(browser(deployment),), daemon=True) for _ in range(_VISITORS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield visits
    finally:
        over.set()
        for thread in threads:
            thread.join(_PATIENCE)

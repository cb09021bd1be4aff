"""What better-auth 1.6 asks of a sign-in before it looks at the password: how often, and from which page it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from double.web import Failure, Request

WINDOW_SECONDS = 10
MOST = 3


@dataclass
class Gate:
    """trusted: the origins that count now. counts: address and path → how many were let through, and when the last."""

    trusted: Callable[[], Iterable[str]]
    counts: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)

    def demand(self, request: Request) -> None:
        """Raises Failure with 429 for one too many, with 403 for one from elsewhere."""
        self._count(request)
        origin = request.headers.get("origin", "")
        if not origin:
            if "cookie" in request.headers:
                raise Failure(403, {"message": "Missing or null Origin", "code": "MISSING_OR_NULL_ORIGIN"})
        elif origin not in set(self.trusted()):
            raise Failure(403, {"message": "Invalid origin", "code": "INVALID_ORIGIN"})

    def _count(self, request: Request) -> None:
        """All that come without an address share one count."""
        address = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
        now = time.monotonic()
        count, last = self.counts.get((address, request.path), (0, 0.0))
        if now - last > WINDOW_SECONDS:
            count = 0
        if count >= MOST:
            raise Failure(429, {"message": "Too many requests. Please try again later."})
        self.counts[address, request.path] = (count + 1, now)

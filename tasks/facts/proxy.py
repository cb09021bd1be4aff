"""Proxy: why Caddy has no certificate for a name, in its own words."""

import json
from typing import Any

from pyinfra.api import FactBase

# Only what it says of certificates: its notes on requests may hold what a visitor has sent.
_QUESTION = """
docker logs --since 30m caddy-proxy 2>&1 | grep -E '"level":"(warn|error)"' | grep '"logger":"tls' | tail -n 8
true
""".strip()


class ProxyTroubleFact(FactBase[tuple[str, ...]]):
    """The last warnings and errors around certificates, the oldest first."""

    def command(self) -> str:
        """Prints Caddy's own log lines, JSON objects."""
        return _QUESTION

    @staticmethod
    def default() -> tuple[str, ...]:
        """Nothing is said."""
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        """Lines → ``message: error``; one that cannot be read stays out."""
        return tuple(filter(None, map(_said, output)))


def _said(line: str) -> str:
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(entry, dict):
        return ""
    words = [str(entry[key])[:300] for key in ("identifier", "msg", "error") if entry.get(key)]
    return ": ".join(words)

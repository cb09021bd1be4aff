"""Proxy: what Caddy has loaded, and why it has no certificate for a name, in its own words."""

import json
from shlex import quote
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


# In bash, which every host has. In a container that is paused nothing answers.
_ASKED = r"""
exec 3<>/dev/tcp/127.0.0.1/2020 || exit 0
printf 'GET / HTTP/1.0\r\nHost: 127.0.0.1:2020\r\n\r\n' >&3
read -r _ code _ <&3
[ "$code" != 200 ] || sed '1,/^\r*$/d' <&3
""".strip()
_LOADED = """
pid=$(docker inspect --type container --format '{{{{.State.Pid}}}}' {name} 2>/dev/null)
[ "${{pid:-0}}" != 0 ] && timeout 10 nsenter --target "$pid" --net bash --norc -c {asked} 2>/dev/null || echo {unknown}
""".strip()

# In the place of what a container would say that does not run.
UNKNOWN = "?"


class LoadedCaddyfileFact(FactBase[str]):
    """The digest of the Caddyfile that Caddy has loaded, which need not be the one on disk; UNKNOWN where its
    container runs no command.
    """

    def command(self, container: str) -> str:
        """Asks Caddy itself, from the host within the container's network: to start a program in a container costs ten times
        as much. One that has loaded a file of another kind does not answer there.
        """
        return _LOADED.format(name=quote(container), unknown=quote(UNKNOWN), asked=quote(_ASKED))

    @staticmethod
    def default() -> str:
        """Caddy does not run."""
        return ""

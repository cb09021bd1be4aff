"""Hosts of our zones, and the URLs that may be returned to after signing in. Pure text, no I/O.

Everything is matched as a whole against narrow patterns. Nothing is parsed and put together again: two
parsers that disagree about one URL are how open redirects come about.
"""

import re
from dataclasses import dataclass

# Letters spelt out: with IGNORECASE, [a-z] matches the Kelvin sign, too.
_NAME = r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_HOST = re.compile(rf"({_NAME})(:[0-9]{{1,5}})?")
# Right after the host only a port, a path or the end: no user, no backslash. Then visible ASCII, without blanks.
_URL = re.compile(rf"https://({_NAME}(?::[0-9]{{1,5}})?)(?:/[!-~]*)?")
URL_LENGTH = 4096


@dataclass(frozen=True)
class Place:
    """A host in one of our zones, as a request named it: app.smarterbot.cl:8443."""

    name: str
    port: str
    zone: str

    def sign_in_host(self, label: str) -> str:
        """Where people of this zone sign in: a cookie is valid in one zone only."""
        return f"{label}.{self.zone}{self.port}"

    def is_host(self, label: str) -> bool:
        """Whether people sign in at this very host."""
        return self.name == f"{label}.{self.zone}"


def place(host: str, zones: tuple[str, ...]) -> Place | None:
    """The place that a Host header means; None outside the zones. Of nested zones the innermost counts."""
    match = _HOST.fullmatch(host)
    if not match:
        return None
    name, port = match[1].lower(), match[2] or ""
    inside = [zone for zone in zones if name == zone or name.endswith(f".{zone}")]
    return Place(name, port, max(inside, key=len)) if inside else None


def is_way_back(url: str, zone: str, zones: tuple[str, ...]) -> bool:
    """Whether a visitor who signed in to `zone` may be sent to `url`: https, and a host of that zone."""
    match = _URL.fullmatch(url) if len(url) <= URL_LENGTH else None
    there = place(match[1], zones) if match else None
    return there is not None and there.zone == zone

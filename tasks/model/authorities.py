"""Names that no public certificate authority takes, as long as no other one is set."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Boulder's policy/pa.go is what Let's Encrypt goes by: a name below a suffix that nobody can own is refused, and so
# is an account's address at one of the example domains.
_EXAMPLES = ("example.com", "example.net", "example.org")
# RFC 2606, 6761, 6762, 7686, 8375, 9476; .internal is ICANN's; the rest was never delegated, as LANs use it.
_SUFFIXES = (
    *("example", "test", "invalid", "localhost", "local", "onion", "home.arpa", "alt", "internal"),
    *("lan", "home", "corp", "mail", "intranet", "private", "localdomain", "domain"),
)
_MOST_PARTS = 10
_PUBLIC = re.compile(
    r"https?://([^/:]+\.)?(letsencrypt\.org|zerossl\.com|pki\.goog|ssl\.com|buypass\.com)(:\d+)?(/.*)?"
)

_INSTEAD = "or set acme_directory to an authority of your own"


def uncertified(settings: Mapping[str, Any]) -> Iterator[str]:
    """A line for each name that would never get its certificate, and for an address that no account may have.

    Holds on data of any type. An authority of one's own takes what its owner likes.
    """
    directory = settings.get("acme_directory")
    if directory and (settings.get("acme_root") or not _PUBLIC.fullmatch(str(directory))):
        return
    for path, name in _names(settings):
        if why := _refused(name, len(name.split(".")) + (not path.startswith("overrides"))):
            yield f"{path}: {name!r} gets no certificate, since {why}: use a domain of your own, {_INSTEAD}"
    address = settings.get("acme_email")
    if isinstance(address, str) and (why := _refused(address.rpartition("@")[2], 2)):
        yield f"acme_email: {address!r} gets no account, since {why}: use an address that you read, {_INSTEAD}"


def _names(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    mirrors, overrides = settings.get("mirror_zones"), settings.get("overrides")
    found: list[tuple[str, Any]] = [("zone", settings.get("zone"))]
    if isinstance(mirrors, list | tuple):
        found += [(f"mirror_zones.{index}", name) for index, name in enumerate(mirrors)]
    if isinstance(overrides, dict):
        found += [
            (f"overrides.{service}.domain", change.get("domain"))
            for service, change in overrides.items()
            if isinstance(change, dict)
        ]
    yield from ((path, name) for path, name in found if isinstance(name, str))


def _refused(name: str, parts: int) -> str:
    """Why public authorities take no such name; empty when they may. parts: of the longest name made with it."""
    lower = name.lower().strip(".")
    for suffix in (*_EXAMPLES, *_SUFFIXES):
        # A name of one label is none, which another line says.
        if lower.endswith(f".{suffix}") or lower == suffix in _EXAMPLES:
            return (
                f"nobody can own {suffix}" if suffix in _EXAMPLES else f"nobody can own a name in .{suffix}"
            )
    if parts > _MOST_PARTS:
        return f"a name has {_MOST_PARTS} parts at most, the service's own among them"
    if reserved := next((label for label in lower.split(".") if re.match(r"(?!xn)..--", label)), ""):
        return f"{reserved!r} has hyphens where only an international name (xn--) may"
    return ""

"""The service's settings, read from the environment and checked before anything starts.

VAULT_ADDR: Vault's address, http or https; required.
LISTEN: [host:]port to serve on; 0.0.0.0:8080 unless told.
ZONES: domains whose guarded routes people visit with a browser, smarterbot.cl,smarterbot.store; without
    it there is nothing but tokens in headers.
SESSION_KEY: 64 hexadecimal digits, the key of the session cookie; required with ZONES. A new one signs
    everybody out.
SIGN_IN_HOST: first label of the hosts that serve /sign-in, one in each zone; api unless told.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_ZONE = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f:.]+", re.IGNORECASE)


class SettingsError(ValueError):
    """A setting is missing or malformed; the text says which, why, and what to write instead."""


@dataclass(frozen=True)
class SignIn:
    """How people sign in with a browser."""

    zones: tuple[str, ...]
    key: bytes = field(repr=False)
    label: str


@dataclass(frozen=True)
class Settings:
    """What the service needs to know. Without `sign_in` it serves no page."""

    vault_addr: str
    host: str
    port: int
    sign_in: SignIn | None = None


def read(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` holds; SettingsError when they cannot work."""
    host, port = listen(environ)
    return Settings(_vault_addr(environ.get("VAULT_ADDR", "")), host, port, _sign_in(environ))


def listen(environ: Mapping[str, str]) -> tuple[str, int]:
    """Host and port to serve on."""
    text = environ.get("LISTEN") or "0.0.0.0:8080"
    host, port = _host_and_port(f"//{text}" if ":" in text else f"//0.0.0.0:{text}")
    if not host or not port:
        raise SettingsError(f"LISTEN is {text!r}: write [host:]port, for example 0.0.0.0:8080")
    return host, port


def _sign_in(environ: Mapping[str, str]) -> SignIn | None:
    zones = tuple(zone.strip() for zone in environ.get("ZONES", "").split(",") if zone.strip())
    if not zones:
        return None
    if wrong := [zone for zone in zones if not _ZONE.fullmatch(zone)]:
        raise SettingsError(
            f"ZONES holds {wrong[0]!r}: write domains in lower case, for example smarterbot.cl,smarterbot.store"
        )
    # The value is not repeated: it is a secret.
    if not re.fullmatch(r"[0-9a-fA-F]{64}", key := environ.get("SESSION_KEY", "")):
        raise SettingsError(
            "SESSION_KEY is not 64 hexadecimal digits, which ZONES needs: make one with `openssl rand -hex 32`"
        )
    if not re.fullmatch(_LABEL, label := environ.get("SIGN_IN_HOST") or "api"):
        raise SettingsError(f"SIGN_IN_HOST is {label!r}: write one label of a domain, for example api")
    return SignIn(zones, bytes.fromhex(key), label)


def _vault_addr(text: str) -> str:
    if not text:
        raise SettingsError("VAULT_ADDR is missing: set it to Vault's address, for example http://vault:8200")
    # The value is not repeated in the message: a malformed one may hold a password.
    hint = "write http(s)://host[:port], for example http://vault:8200"
    if not text.startswith(("http://", "https://")):
        raise SettingsError(f"VAULT_ADDR does not start with http:// or https://: {hint}")
    if re.search(r"[^!-~]|[@?#\\]", text):
        raise SettingsError(f"VAULT_ADDR holds a blank, a user, a query or a strange character: {hint}")
    host, port = _host_and_port(text)
    if not host or port == 0:
        raise SettingsError(f"VAULT_ADDR has no usable host and port: {hint}")
    return text.rstrip("/")


def _host_and_port(url: str) -> tuple[str, int | None]:
    """Host ("" when unusable) and port (None when absent, 0 when unusable)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "", 0
    return (host if _HOST.fullmatch(host) else ""), port

"""The service's settings, read from the environment and checked before anything starts.

VAULT_ADDR: Vault's address, http or https; required.
LISTEN: [host:]port to serve on; 0.0.0.0:8080 unless told.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f:.]+", re.IGNORECASE)


class SettingsError(ValueError):
    """A setting is missing or malformed; the text says which, why, and what to write instead."""


@dataclass(frozen=True)
class Settings:
    """What the service needs to know."""

    vault_addr: str
    host: str
    port: int


def read(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` holds; SettingsError when they cannot work."""
    host, port = listen(environ)
    return Settings(vault_addr=_vault_addr(environ.get("VAULT_ADDR", "")), host=host, port=port)


def listen(environ: Mapping[str, str]) -> tuple[str, int]:
    """Host and port to serve on."""
    text = environ.get("LISTEN") or "0.0.0.0:8080"
    host, port = _host_and_port(f"//{text}" if ":" in text else f"//0.0.0.0:{text}")
    if not host or not port:
        raise SettingsError(f"LISTEN is {text!r}: write [host:]port, for example 0.0.0.0:8080")
    return host, port


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

"""The session cookie: a Vault token, encrypted and authenticated, valid in one zone until a fixed time.

There is no session store: whatever revokes the token ends the session, and a restart ends none. The token is
encrypted (AES-256-GCM), so that a log line or a service that sees the cookie cannot talk to Vault with it.
Whoever holds a copy can still visit guarded routes of the zone with it, so Caddy takes it out of what
reaches the services.
"""

import base64
import os
import re
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.datastructures import Headers

# Browsers take a cookie of this name only over https and with Secure.
NAME = "__Secure-smarteros"
MAX_SECONDS = 12 * 3600
# Browsers drop a cookie whose name and value together are longer.
VALUE_LENGTH = 4096 - len(NAME)
_VALUE = re.compile(r"[A-Za-z0-9_-]{40,4096}={0,2}")
_NONCE = 12
_EXPIRES = struct.Struct(">Q")


def lifetime(ttl: int) -> int:
    """For how many seconds a token holds a session; `ttl` 0 is a token that never expires."""
    return min(ttl or MAX_SECONDS, MAX_SECONDS)


def seal(key: bytes, zone: str, token: str, expires: int) -> str:
    """The cookie's value. The zone is authenticated with it: in another zone it opens as nothing."""
    nonce = os.urandom(_NONCE)
    content = _EXPIRES.pack(expires) + token.encode()
    return _encode(nonce + AESGCM(key).encrypt(nonce, content, zone.encode()))


def unseal(key: bytes, zone: str, value: str, now: float) -> str:
    """The token in a cookie's value; "" when it is not ours, not of this zone, changed or expired."""
    if not _VALUE.fullmatch(value) or len(value) % 4:
        return ""
    data = base64.urlsafe_b64decode(value)
    if _encode(data) != value:  # the last character has bits that decoding ignores
        return ""
    try:
        content = AESGCM(key).decrypt(data[:_NONCE], data[_NONCE:], zone.encode())
    except InvalidTag:
        return ""
    (expires,) = _EXPIRES.unpack_from(content)
    return content[_EXPIRES.size :].decode() if now < expires else ""


def values(headers: Headers) -> list[str]:
    """Every value of our cookie's name: a host of the zone can add one of its own beside the right one."""
    pairs = (pair.strip(" ").partition("=") for line in headers.getlist("cookie") for pair in line.split(";"))
    return [value for name, _, value in pairs if name == NAME]


def set_cookie(zone: str, value: str, seconds: int) -> str:
    """The Set-Cookie header; with no value and 0 seconds it deletes, for which all attributes must be equal."""
    return f"{NAME}={value}; Domain={zone}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()

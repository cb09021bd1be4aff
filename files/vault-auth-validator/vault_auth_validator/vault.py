"""Asks Vault about one token. Knows Vault's API, and nothing of our own HTTP.

Nothing is cached: each question goes to Vault, so a revoked token is refused at the very next request.
On a kept-alive connection the answer takes a few milliseconds, less than a cache would be worth.
"""

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import Any

import httpx

# What can be a token at all, and be sent in a header.
TOKEN = re.compile(r"[!-~]{1,4096}")
# Vault's answer, connecting and waiting for a free connection included. Caddy holds a request that long.
ANSWER_SECONDS = 2
# Below Vault's idle timeout (5 min), so that Vault never closes a connection that is just being used again.
_LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=32, keepalive_expiry=30)


@dataclass(frozen=True)
class Identity:
    """Whose token it is, and for how many seconds more (0: it never expires)."""

    display_name: str
    policies: tuple[str, ...]
    entity_id: str
    ttl: int = 0


class TokenRefused(Exception):
    """Vault answered, and does not accept this token."""


class VaultUnavailable(Exception):
    """Vault gave no verdict; the text says why."""


def open_client(vault_addr: str) -> httpx.AsyncClient:
    """The one client of the process."""
    return httpx.AsyncClient(
        base_url=vault_addr,
        limits=_LIMITS,
        timeout=ANSWER_SECONDS,
        # The system's certificates, so that SSL_CERT_FILE can name the CA of a private Vault.
        verify=ssl.create_default_context(),
        # A proxy from the environment would see every token; so would the target of a redirect.
        trust_env=False,
        follow_redirects=False,
    )


async def look_up(client: httpx.AsyncClient, token: str) -> Identity:
    """Whose token this is, else TokenRefused or VaultUnavailable. A token of limited uses loses one."""
    response = await _ask(client, token)
    match response.status_code:
        case 200:
            return _identity(response)
        # 403 does not tell unknown, expired and revoked apart; 400 is a token that Vault cannot even parse.
        case 400 | 403:
            raise TokenRefused
        # The one token that Vault answers with its own failure: b.… or hvb.… and then no base64.
        case 500 if "illegal base64 data" in response.text:
            raise TokenRefused
        case 503 if "sealed" in response.text:
            raise VaultUnavailable("Vault is sealed: unseal it")
        case 429:
            raise VaultUnavailable("Vault limits the rate of requests: its quota is used up")
        case status:
            raise VaultUnavailable(f"Vault answered with status {status}")


async def _ask(client: httpx.AsyncClient, token: str) -> httpx.Response:
    try:
        # httpx limits each step; this limits their sum.
        async with asyncio.timeout(ANSWER_SECONDS):
            return await client.get("/v1/auth/token/lookup-self", headers={"X-Vault-Token": token})
    except (TimeoutError, httpx.TimeoutException):
        raise VaultUnavailable(f"Vault did not answer within {ANSWER_SECONDS} s") from None
    except httpx.RequestError:
        raise VaultUnavailable("Vault is unreachable") from None


def _identity(response: httpx.Response) -> Identity:
    try:
        data: dict[str, Any] = response.json()["data"]
        # What a token may do is the union of its own policies and those of its entity and groups.
        policies = {*(data["policies"] or ()), *(data.get("identity_policies") or ())}
        name, entity, ttl = str(data["display_name"]), data.get("entity_id") or "", int(data.get("ttl") or 0)
        return Identity(name, tuple(sorted(policies)), entity, ttl)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise VaultUnavailable("VAULT_ADDR answers, but not like Vault") from None

"""Passwords as the doubles keep them, and the products' rules for them."""

from __future__ import annotations

import hashlib
import hmac
import os


def hashed(password: str) -> str:
    """A salted hash for the database."""
    salt = os.urandom(16)
    return f"{salt.hex()}${_derive(password, salt)}"


def matches(password: str, stored: str) -> bool:
    """Whether the password is the one that was hashed."""
    salt, _, digest = stored.partition("$")
    return hmac.compare_digest(_derive(password, bytes.fromhex(salt)), digest)


def _derive(password: str, salt: bytes) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 20_000).hex()


def counts(password: str) -> dict[str, int]:
    """How many characters of each kind a password has."""
    return {
        "total": len(password),
        "upper": sum(character.isupper() for character in password),
        "lower": sum(character.islower() for character in password),
        "digit": sum(character.isdigit() for character in password),
        "special": sum(not character.isalnum() for character in password),
    }

"""Masks: what is secret of a channel, out of what its server says back."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import SplitResult, quote, unquote, urlsplit


def login(parts: SplitResult) -> tuple:
    """What stands before the host's name."""
    return unquote(parts.username or ""), unquote(parts.password or "")


def masked(text: str, channel: dict) -> str:
    """Parts of an address's path and its login are as secret as a token, in whatever form a server sends them back."""
    parts = urlsplit(channel.get("url", ""))
    words = [channel.get("token", ""), channel.get("password", ""), *login(parts)]
    words += [word for pair in parts.query.split("&") for word in (pair, pair.partition("=")[2])]
    for user, password in (login(parts), (channel.get("user", ""), channel.get("password", ""))):
        words += [f"{user}:{password}", f"\0{user}\0{password}"]  # of HTTP's Basic, of SMTP's PLAIN
    secrets = {form for word in (*words, *parts.path.split("/")) for form in forms(word)}
    for secret in sorted((item for item in secrets if len(item) > 3), key=len, reverse=True):
        text = text.replace(secret, "***")
    return "".join(sign if sign.isprintable() else " " for sign in text)[:300]


def forms(word: str) -> set:
    """As it is, as a header has it, as an address does, and as JSON and HTML do."""
    plain = unquote(word)
    found = {word, plain, encoded := base64.b64encode(plain.encode()).decode(), encoded.rstrip("=")}
    found |= {quote(each, safe=safe) for each in (word, plain, encoded) for safe in ("/", "")}
    return {*found, json.dumps(plain)[1:-1], html.escape(plain)}

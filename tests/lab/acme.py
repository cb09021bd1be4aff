"""Pebble as the lab's Let's Encrypt: where its DNS points, what signs its certificates, how many were ordered."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterable
from typing import Any

from docker.client import DockerClient

from tests.lab import network
from tests.lab.authority import Authority

ORDER_REQUEST = "POST /order-plz -> calling handler"


def point(pebble: str, domains: Iterable[str], address: str) -> None:
    """From now on these domains lead to that address, as far as Pebble sees; until Pebble restarts."""
    for domain in domains:
        name = f"{domain.rstrip('.')}."
        _manage(pebble, "clear-a", {"host": name})
        _manage(pebble, "add-a", {"host": name, "addresses": [address]})


def _manage(pebble: str, action: str, body: dict[str, Any]) -> None:
    url = f"http://{pebble}:8055/{action}"
    urllib.request.urlopen(urllib.request.Request(url, data=json.dumps(body).encode()), timeout=10).close()


def root(pebble: str, authority: Authority) -> bytes:
    """The root certificate that Pebble made up when it started."""
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    with urllib.request.urlopen(f"https://{pebble}:15000/roots/0", context=context, timeout=10) as answer:
        content: bytes = answer.read()
        return content


def orders(client: DockerClient, lab: str) -> int:
    """How many certificates were ordered since the lab came up, from Pebble's log."""
    container = network.find(client, lab, "pebble")
    log: bytes = container.logs() if container else b""
    return log.decode(errors="replace").count(ORDER_REQUEST)

"""Held routes: what becomes of a request that is on its way when a deploy stops its service, with a real Caddy and the rendered Caddyfile."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.proxy import N8N, Proxy, running

# What Caddy tries for by itself, and then some.
_LONGER = 7
_LET_IN = {"X_Vault_Token": "live", "patience": 30}


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with running(tmp_path, n8n={"guard": True}) as proxy:
        yield proxy


def caught(proxy: Proxy, *requests: dict[str, Any]) -> list[int]:
    """The answers to requests that come while the service is on its way down, of which Caddy is told later."""
    proxy.goes()
    with ThreadPoolExecutor() as visitors:
        asked: list[Future[int]] = [visitors.submit(proxy.ask, "/rest/x", **how) for how in requests]
        time.sleep(1)
        (proxy.folder / "replaced-127.0.0.1").touch()
        time.sleep(_LONGER)
        proxy.comes()
        return [answer.result() for answer in asked]


def test_who_was_on_the_way_waits_like_those_that_come_after(proxy: Proxy) -> None:
    post = {**_LET_IN, "post": "a=1"}
    assert caught(proxy, _LET_IN, post, {"patience": 30}) == [200, 200, 401]
    assert {target for target, _ in proxy.seen} == {"/rest/x"}
    assert len(proxy.seen) == 2
    for _, headers in proxy.seen:
        assert (headers["x-vault-display-name"], "x-vault-token" in headers) == ("alice", False)


def test_their_answers_have_the_headers_of_all_others(proxy: Proxy) -> None:
    """Answered by the error route; HSTS is the edge's alone."""
    (proxy.folder / "replaced-127.0.0.1").touch()
    answer = httpx.post(
        f"http://127.0.0.1:{proxy.port}/rest/x",
        headers={"Host": N8N, "X-Vault-Token": "live", "X-Gone": "1"},
        content="a=1",
        trust_env=False,
    )
    found = answer.headers
    assert (answer.status_code, found.get("X-Content-Type-Options"), found.get("Server")) == (
        502,
        "nosniff",
        None,
    )


def test_who_comes_to_a_service_that_is_gone_is_told_so(proxy: Proxy) -> None:
    proxy.goes()
    assert proxy.ask("/rest/x", N8N, **_LET_IN) == 502


def test_what_a_service_has_read_is_not_sent_again(proxy: Proxy) -> None:
    (proxy.folder / "replaced-127.0.0.1").touch()
    assert proxy.ask("/rest/x", N8N, post="a=1", X_Gone="1", **_LET_IN) == 502
    assert proxy.seen == [("gone", {})]


def test_nobody_is_let_in_whom_the_validator_could_not_be_asked_about(proxy: Proxy) -> None:
    (proxy.folder / "replaced-127.0.0.1").touch()
    proxy.goes(1)
    assert proxy.ask("/rest/x", N8N, **_LET_IN | {"patience": 60}) == 502
    assert proxy.seen == []

"""The gate before a sign-in of Dokploy's double: as better-auth 1.6.23 was seen to answer, behind Dokploy's own hook."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.images import FOLDER

PAGE = "https://dokploy.example.com"
Ask = Callable[..., int]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test moves."""
    monkeypatch.syspath_prepend(FOLDER / "double")
    now = [100.0]
    monkeypatch.setattr(importlib.import_module("double.better_auth").time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def ask(clock: list[float]) -> Ask:
    """Asks the gate with these headers; the status it answers, 200 for one that is let through."""
    assert clock
    web: Any = importlib.import_module("double.web")
    gate = importlib.import_module("double.better_auth").Gate(lambda: [PAGE])

    def asked(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            gate.demand(web.Request("POST", "/api/auth/sign-in/email", {}, named))
        except web.Failure as failure:
            return int(failure.response.status)
        return 200

    return asked


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": PAGE}, 200),
        ({"origin": PAGE, "cookie": "a=b"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"cookie": "a=b"}, 403),
    ],
)
def test_where_a_sign_in_may_come_from(ask: Ask, headers: dict[str, str], status: int) -> None:
    assert ask(**headers) == status


def test_the_fourth_within_ten_seconds_is_one_too_many(ask: Ask, clock: list[float]) -> None:
    assert [ask() for _ in range(4)] == [200, 200, 200, 429]
    assert ask(x_forwarded_for="192.0.2.1, 10.0.0.1") == 200
    clock[0] += 10.1
    assert [ask() for _ in range(4)] == [200, 200, 200, 429]

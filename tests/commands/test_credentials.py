"""Credentials: shown to who says yes, and to nobody else."""

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tasks import lock
from tasks.commands import credentials
from tasks.model.catalogue import Service
from tasks.run import host, remember, services
from tests.fake import commands, fake


@pytest.fixture
def odoo() -> Iterator[Service]:
    """Whose Vault holds a password."""
    credentials._agreed.cache_clear()
    with fake({}):
        remember(("secrets", "odoo"), partial(tuple, ({"ADMIN_PASSWORD": "its password"}, 1)))
        yield next(item for item in services() if item.name == "odoo")


def test_who_says_yes_sees_where_it_is_entered(
    odoo: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert commands(credentials.agreed, [odoo]) == []
    for step in commands(credentials.shown, [odoo]):
        step.function(host().state, host())
    shown = capsys.readouterr().out
    assert shown.startswith("Odoo ERP\n  URL       https://erp.smarterbot.cl/\n  login     ")
    assert "  password  its password\n" in shown
    assert "its password" not in caplog.text
    assert "passwords come on the screen: Odoo ERP; yes shows them" in caplog.text


@pytest.mark.parametrize("answer", ["", "\n", "y\n", "no\n"])
def test_anything_else_shows_nothing(
    odoo: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    answer: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    [refusal] = commands(credentials.agreed, [odoo])
    assert refusal.function(host().state, host()) is False
    assert "nothing is shown: the answer was not yes" in caplog.text
    assert "its password" not in capsys.readouterr().out


def test_the_host_is_locked_once_that_is_answered(odoo: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []
    monkeypatch.setenv("PYINFRA_PROGRESS", "")
    for place in ("agreed", "shown"):
        monkeypatch.setattr(credentials, place, lambda *_, _place=place, **__: done.append(_place))
    monkeypatch.setattr(lock, "run", lambda **words: done.append(words))
    monkeypatch.setenv(credentials.CHOICE, odoo.name)
    credentials.run()
    assert done == ["agreed", {"deploy": False, "early": False}, "shown"]

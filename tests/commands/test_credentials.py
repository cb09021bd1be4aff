"""Credentials: shown to who says yes, and to nobody else."""

import io
from collections.abc import Iterator
from functools import partial

import pytest

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
    for step in commands(credentials.shown, [odoo]):
        step.function(host().state, host())
    assert "nothing is shown: the answer was not yes" in caplog.text
    assert "its password" not in capsys.readouterr().out

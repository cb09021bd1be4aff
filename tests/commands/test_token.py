"""What `make token` and `make secret` print, and what they say of a mistake."""

from collections.abc import Iterator
from functools import partial

import pytest

from tasks.clients import vault_token
from tasks.commands import secret, token
from tasks.commands.named import VARIABLE, unknown
from tasks.run import Refused, remember
from tests.fake import commands, fake


@pytest.mark.parametrize("hours", ["0", "169", "8h", "-1", "1.5", "²"])
def test_hours_are_whole_and_few(hours: str) -> None:
    with pytest.raises(Refused, match="say whole hours, 1 to 168"):
        token.wanted(hours)


def test_a_token_goes_to_standard_output_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOURS", "24")
    monkeypatch.setattr(vault_token, "lasting", lambda hours: f"s.of-{hours}-hours")
    with fake({}, executing=False):
        assert commands(token.given) == []
    assert capsys.readouterr().out == ""
    with caplog.at_level("DEBUG"), fake({}):
        assert commands(token.given) == []
    assert capsys.readouterr().out == "s.of-24-hours\n"
    assert "s.of-" not in caplog.text
    assert "standard output is no terminal" in caplog.text


def test_a_vault_that_is_not_ours_has_its_own_tokens() -> None:
    with (
        fake({}, vault_address="https://vault.example", services=["postgres"]),
        pytest.raises(Refused) as refused,
    ):
        vault_token.lasting(8)
    assert str(refused.value).startswith(
        "the Vault at https://vault.example is not ours, and so are its tokens: "
    )


@pytest.fixture
def held() -> Iterator[None]:
    """A Vault that holds a little, and a person's own value."""
    with fake({}):
        for path, values in {"chatwoot": {"ADMIN_PASSWORD": "p$1"}, "mine": {"KEY": "k"}}.items():
            remember(("secrets", path), partial(tuple, (values, 1)))
        for path in ("chatwot", "n8n", "nothing"):
            remember(("secrets", path), partial(tuple, ({}, 0)))
        yield


@pytest.mark.parametrize(
    ("name", "found"),
    [("chatwoot#ADMIN_PASSWORD", "p$1"), ("secret/chatwoot#ADMIN_PASSWORD", "p$1"), ("mine#KEY", "k")],
)
def test_a_secret_is_printed(
    held: None, name: str, found: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, name)
    assert commands(secret.shown) == []
    assert capsys.readouterr().out == f"{found}\n"


def test_without_a_name_the_names_are_listed_and_that_is_no_error(
    held: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with caplog.at_level("INFO"):
        assert commands(secret.shown) == []
    assert "say which: NAME=path#name; there are botpress#APP_SECRET, " in caplog.text


def test_where_there_are_none_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    none = "there are none: none of the services has a secret"
    with fake({}, services=["vault", "mcp-registry", "caddy"]), caplog.at_level("INFO"):
        assert commands(secret.shown) == []
        assert str(unknown("n8n#KEY")) == f"NAME=n8n#KEY: Vault holds nothing of that name; {none}"
    assert f"say which: NAME=path#name; {none}" in caplog.text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("chatwot#ADMIN_PASSWORD", "^NAME=chatwot#ADMIN_PASSWORD: Vault holds nothing of that name; did you mean chatwoot#ADMIN_PASSWORD "),
        ("metabase", "did you mean metabase#MB_DB_PASS or metabase#MB_ENCRYPTION_SECRET_KEY or metabase#ADMIN_PASSWORD"),
        ("nothing#AT-ALL", "there are botpress#APP_SECRET"),
        ("n8n#N8N_OWNER_PASSWORD", "^secret/n8n#N8N_OWNER_PASSWORD is not in Vault yet: `make deploy` makes what is missing$"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_is_told(held: None, name: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        secret.value(name)

"""Where a visitor may be sent, and which cookies open: hostile URLs and changed cookies, in this process."""

import importlib
from collections.abc import Iterator
from string import ascii_letters, digits
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.validator import SOURCE

ZONES = ("smarterbot.cl", "smarterbot.store")
KEY = bytes(range(32))
NOW = 1_800_000_000


@pytest.fixture(scope="module")
def zones() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SOURCE))
        yield importlib.import_module("vault_auth_validator.zones")


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SOURCE))
        yield importlib.import_module("vault_auth_validator.session")


@pytest.mark.parametrize(
    "url",
    [
        "https://smarterbot.cl",
        "https://app.smarterbot.cl/",
        "https://a.b.smarterbot.cl:8443/x?y=https://evil.com/#z",
        "https://App.SmarterBot.cl/\\\\",
        "https://app.smarterbot.cl//evil.com",
    ],
)
def test_a_url_of_the_zone_is_a_way_back(zones: Any, url: str) -> None:
    assert zones.is_way_back(url, "smarterbot.cl", ZONES) is True


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/",
        "//evil.com",
        "///evil.com",
        "/\\evil.com",
        "\\\\evil.com",
        "http://app.smarterbot.cl/",
        "HTTPS://app.smarterbot.cl/",
        "https:/app.smarterbot.cl/",
        "https:app.smarterbot.cl",
        "https:\\\\app.smarterbot.cl\\",
        "javascript:alert(1)//https://app.smarterbot.cl/",
        "data:text/html,https://app.smarterbot.cl/",
        "https://evil.com/",
        "https://evil.com/https://app.smarterbot.cl/",
        "https://evil.com?.smarterbot.cl/",
        "https://evil.com#.smarterbot.cl/",
        "https://evil.com\\.smarterbot.cl/",
        "https://evil.com%2f.smarterbot.cl/",
        "https://evil.com\t.smarterbot.cl/",
        "https://evil.smarterbot.cl.attacker.com",
        "https://smarterbot.cl.evil/",
        "https://evilsmarterbot.cl/",
        "https://.smarterbot.cl/",
        "https://app..smarterbot.cl/",
        "https://app.smarterbot.cl./",
        "https://app.smarterbot.cl@evil.com/",
        "https://app.smarterbot.cl:443@evil.com/",
        "https://app.smarterbot.cl:x@evil.com/",
        "https://app.smarterbot.cl\\@evil.com/",
        "https://app.smarterbot.cl:443.evil.com/",
        "https://user@app.smarterbot.cl/",
        "https://app.smarterbot.cl/\r\nSet-Cookie: a=b",
        "https://app.smarterbot.cl/\n",
        "https://app.smarterbot.cl\n",
        " https://app.smarterbot.cl/",
        "https://app.smarterbot.cl/ x",
        "https://app.smarterbot.cl/ñ",
        "https://app.smarterbot.cl\uff0fevil.com/",
        "https://\u212aapp.smarterbot.cl/",
        "https://kpi.smarterbot.store/",
        "https://[::1]/.smarterbot.cl/",
        f"https://app.smarterbot.cl/{'x' * 4096}",
    ],
)
def test_every_other_url_is_none(zones: Any, url: str) -> None:
    assert zones.is_way_back(url, "smarterbot.cl", ZONES) is False


pieces = st.sampled_from(
    [
        "https://",
        "http:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        ".",
        "?",
        "#",
        "%",
        "[",
        "]",
        "%2e",
        "%00",
        "\r\n",
        "\t",
        "\x00",
        "443",
        "smarterbot.cl",
        "app.smarterbot.cl",
        "evil.com",
    ]
)
tails = st.lists(pieces | st.characters(), max_size=8).map("".join)
urls = st.builds("{}{}".format, st.sampled_from(["https://", "https://app.smarterbot.cl", ""]), tails)


@settings(max_examples=400, deadline=None)
@given(url=urls)
@example(url="https://app.smarterbot.cl/x")
def test_what_is_accepted_means_a_host_of_the_zone_to_other_parsers(zones: Any, url: str) -> None:
    if zones.is_way_back(url, "smarterbot.cl", ZONES):
        standard, other = urlsplit(url), httpx.URL(url)
        assert standard.scheme == other.scheme == "https"
        assert f".{standard.hostname}".endswith(".smarterbot.cl")
        assert f".{other.host}".endswith(".smarterbot.cl")
        assert (standard.username, other.userinfo) == (None, b"")
        assert all("!" <= char <= "~" for char in url)


def test_of_nested_zones_the_innermost_counts(zones: Any) -> None:
    nested = ("smarterbot.cl", "staging.smarterbot.cl")
    assert zones.place("app.staging.smarterbot.cl", nested).zone == "staging.smarterbot.cl"
    assert zones.place("app.smarterbot.cl", nested).zone == "smarterbot.cl"
    assert zones.is_way_back("https://app.staging.smarterbot.cl/", "smarterbot.cl", nested) is False


@given(token=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), data=st.data())
def test_only_the_unchanged_cookie_of_the_zone_opens_and_only_in_time(
    session: Any, token: str, data: st.DataObject
) -> None:
    value = session.seal(KEY, "smarterbot.cl", token, NOW)
    assert session.unseal(KEY, "smarterbot.cl", value, NOW - 1) == token
    assert session.unseal(KEY, "smarterbot.cl", value, NOW) == ""
    assert session.unseal(KEY, "smarterbot.store", value, NOW - 1) == ""
    assert session.unseal(bytes(32), "smarterbot.cl", value, NOW - 1) == ""
    place = data.draw(st.integers(0, len(value) - 1))
    character = data.draw(st.sampled_from("AQgwZz09-_=+ ñ"))
    changed = value[:place] + character + value[place + 1 :]
    assert session.unseal(KEY, "smarterbot.cl", changed, NOW - 1) == (token if changed == value else "")
    assert session.unseal(KEY, "smarterbot.cl", value[:place], NOW - 1) == ""


@pytest.mark.parametrize("token", ["s", "s.", "s.t"])
def test_no_cookie_has_two_spellings(session: Any, token: str) -> None:
    value = session.seal(KEY, "smarterbot.cl", token, NOW)
    end = len(value.rstrip("=")) - 1
    spellings = {value[:end] + character + value[end + 1 :] for character in ascii_letters + digits + "-_"}
    opened = [text for text in spellings if session.unseal(KEY, "smarterbot.cl", text, NOW - 1)]
    assert opened == [value]


@given(value=st.text() | st.text("ABab01-_=", max_size=120))
def test_no_other_text_opens(session: Any, value: str) -> None:
    assert session.unseal(KEY, "smarterbot.cl", value, NOW) == ""


def test_the_same_token_never_looks_the_same(session: Any) -> None:
    sealed = {session.seal(KEY, "smarterbot.cl", "s.token", NOW) for _ in range(100)}
    assert len(sealed) == 100

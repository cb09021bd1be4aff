"""Signing in at the vault-auth-validator: its own process, over HTTP, against a real OpenBao."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.openbao import OpenBao, running_openbao
from tests.validator import Validator, running_validator, vault_headers
from tests.validator_sign_in import (
    ASKED,
    ATTRIBUTES,
    FORM,
    KEY,
    OPENED,
    OWN,
    ZONES,
    alert,
    opened,
    session,
    sign_in,
)


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture(scope="module")
def validator(bao: OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Validator]:
    folder = tmp_path_factory.mktemp("validator")
    with running_validator(folder, bao.address, ZONES=ZONES, SESSION_KEY=KEY) as service:
        yield service


def test_a_browser_without_a_session_is_sent_to_the_sign_in_of_its_zone(validator: Validator) -> None:
    assert opened(validator) == (302, FORM)
    assert opened(validator, x_forwarded_host="KPI.smarterbot.store:8443", x_forwarded_uri="/") == (
        302,
        "https://api.smarterbot.store:8443/sign-in?return=https%3A%2F%2Fkpi.smarterbot.store%3A8443%2F",
    )
    assert opened(validator, x_forwarded_uri=f"/{'x' * 4096}") == (302, "https://api.smarterbot.cl/sign-in")


@pytest.mark.parametrize(
    "changed",
    [
        {"accept": "application/json"},
        {"sec_fetch_mode": "cors"},
        {"x_forwarded_method": "POST"},
        {"x_forwarded_method": ""},
        {"x_forwarded_proto": "http"},
        {"x_forwarded_host": "127.0.0.1:3100"},
        {"x_forwarded_host": "app.smarterbot.cl.evil.com"},
        {"x_forwarded_host": "evilsmarterbot.cl"},
        {"x_forwarded_host": "api.smarterbot.cl"},
        {"x_vault_token": "s.garbage"},
        {"authorization": "Bearer s.garbage"},
    ],
)
def test_whatever_is_not_a_person_opening_a_page_gets_401(
    validator: Validator, changed: dict[str, str]
) -> None:
    response = validator.ask("/validate", **(OPENED | changed))
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


def test_the_right_token_leads_back_with_a_cookie_that_validates(bao: OpenBao, validator: Validator) -> None:
    token = bao.token(policies=["default"], display_name="alice", ttl="10h")
    response = sign_in(validator, f" {token}\n", ASKED)
    assert (response.status_code, response.headers["location"]) == (303, ASKED)
    pair, _, attributes = response.headers["set-cookie"].partition("; ")
    found = re.fullmatch(ATTRIBUTES[2:].format(r"(\d+)"), attributes)
    assert found
    assert 36000 - 60 < int(found[1]) <= 36000
    assert re.fullmatch("__Secure-smarteros=[A-Za-z0-9_=-]{80,}", pair)
    visit = validator.ask("/validate", **OPENED, cookie=f"a=1; {pair}; b=2")
    expected = {"x-vault-display-name": "token-alice", "x-vault-policies": "default"}
    assert (visit.status_code, vault_headers(visit)) == (200, expected)


@pytest.mark.parametrize(
    "way_back",
    [
        "//evil.com",
        "https://evil.smarterbot.cl.attacker.com",
        "https://smarterbot.cl.evil",
        "https://app.smarterbot.cl@evil.com/",
        "https://evil.com\\.smarterbot.cl/",
        "https://app.smarterbot.cl/\r\nX-Evil: 1",
        "https://kpi.smarterbot.store/",
        "http://app.smarterbot.cl/",
    ],
)
def test_a_way_out_of_the_zone_is_not_taken(bao: OpenBao, validator: Validator, way_back: str) -> None:
    response = sign_in(validator, bao.token(), way_back)
    assert (response.status_code, response.headers["location"]) == (303, "/sign-out")
    assert "x-evil" not in response.headers


def test_a_session_lasts_12_hours_at_most(bao: OpenBao, validator: Validator) -> None:
    for token in (bao.root_token, bao.token(ttl="100h")):
        assert sign_in(validator, token).headers["set-cookie"].endswith(ATTRIBUTES.format(43200))


def test_a_revoked_or_expired_token_ends_its_session(bao: OpenBao, validator: Validator) -> None:
    revoked, expired = bao.token(), bao.token(ttl="1h")
    cookies = session(validator, revoked), session(validator, expired)
    assert [opened(validator, cookie=each) for each in cookies] == [(200, "")] * 2
    # Only now, whatever a sign-in takes on a busy machine.
    bao.call("POST", "auth/token/renew", {"token": expired, "increment": "1s"})
    bao.call("POST", "auth/token/revoke", {"token": revoked})
    assert opened(validator, cookie=cookies[0]) == (302, FORM)
    deadline = time.monotonic() + 10
    while opened(validator, cookie=cookies[1])[0] == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert opened(validator, cookie=cookies[1]) == (302, FORM)


def test_a_changed_cookie_is_none(bao: OpenBao, validator: Validator) -> None:
    cookie = session(validator, bao.token())
    other = "B" if cookie[60] == "A" else "A"
    assert opened(validator, cookie=f"{cookie[:60]}{other}{cookie[61:]}") == (302, FORM)
    assert opened(validator, cookie="__Secure-smarteros=") == (302, FORM)
    assert opened(validator, cookie=f"__Secure-smarteros=AAAA; {cookie}") == (200, "")


def test_a_session_is_valid_in_its_own_zone_only(bao: OpenBao, validator: Validator) -> None:
    cookie = session(validator, bao.token())
    assert opened(validator, cookie=cookie) == (200, "")
    assert opened(validator, cookie=cookie, x_forwarded_host="kpi.smarterbot.store", x_forwarded_uri="/") == (
        302,
        "https://api.smarterbot.store/sign-in?return=https%3A%2F%2Fkpi.smarterbot.store%2F",
    )


def test_authorization_may_be_the_services_but_a_bad_x_vault_token_counts(
    bao: OpenBao, validator: Validator
) -> None:
    cookie = session(validator, bao.token())
    assert validator.ask("/validate", host="app.smarterbot.cl", cookie=cookie).status_code == 200
    assert opened(validator, cookie=cookie, authorization="Bearer its.own.jwt") == (200, "")
    assert opened(validator, cookie=cookie, x_vault_token="s.garbage") == (401, "")


def test_a_wrong_token_shows_the_form_again(validator: Validator) -> None:
    response = sign_in(validator, "s.garbage", f'{ASKED}"><script>')
    refusal = "Vault refuses this token: it is mistyped, expired or revoked, or may not look itself up."
    assert (response.status_code, alert(response)) == (403, refusal)
    assert "set-cookie" not in response.headers
    assert (
        'value="https://app.smarterbot.cl/a%20b?x=1&amp;y=https://z/&quot;&gt;&lt;script&gt;"'
        in response.text
    )


def test_a_token_too_long_for_a_cookie_is_said(bao: OpenBao, validator: Validator) -> None:
    meta = dict.fromkeys(("a", "b", "c", "d", "e"), "x" * 500)
    batch = bao.token(type="batch", ttl="1h", policies=["default"], meta=meta)
    response = sign_in(validator, batch)
    text = "This token is too long for a cookie: use a service token instead of a batch token."
    assert (response.status_code, alert(response)) == (400, text)


def test_a_sealed_vault_is_said_on_a_page(bao: OpenBao, validator: Validator) -> None:
    token = bao.token()
    cookie = session(validator, token)
    bao.seal()
    try:
        form, visit = sign_in(validator, token), validator.ask("/validate", **OPENED, cookie=cookie)
    finally:
        bao.unseal()
    text = "Nobody can sign in at present. Vault is sealed: unseal it."
    assert (form.status_code, alert(form)) == (503, text)
    assert (visit.status_code, alert(visit)) == (503, "Vault is sealed: unseal it.")
    assert opened(validator, cookie=cookie) == (200, "")


def test_signing_out_deletes_the_cookie_and_spares_the_token(bao: OpenBao, validator: Validator) -> None:
    token = bao.token()
    cookie = session(validator, token)
    page = validator.ask("/sign-out", **OWN, cookie=cookie).text
    assert "<h1>You are signed in to smarterbot.cl</h1>" in page
    assert "The token itself counts until it expires" in page
    assert "<code>make token</code>" in validator.ask("/sign-in", **OWN).text
    response = validator.send("/sign-out", {}, **OWN, cookie=cookie)
    assert "<h1>You are signed out</h1>" in response.text
    assert response.headers["set-cookie"] == f"__Secure-smarteros={ATTRIBUTES.format(0)}"
    assert validator.answer(x_vault_token=token)[0] == 200


def test_no_token_and_no_cookie_is_ever_logged(bao: OpenBao, tmp_path: Path) -> None:
    token = bao.token()
    with running_validator(tmp_path, bao.address, ZONES=ZONES, SESSION_KEY=KEY) as service:
        cookie = session(service, token)
        bao.seal()
        try:
            assert sign_in(service, token).status_code == 503
            assert opened(service, cookie=cookie)[0] == 503
        finally:
            bao.unseal()
    log = service.log.read_text()
    assert log.count("WARNING vault_auth_validator: no verdict: Vault is sealed: unseal it\n") == 2
    assert [secret for secret in (token, cookie.partition("=")[2], KEY) if secret in log] == []

"""The vault-auth-validator's pages and settings of signing in, as far as no Vault is needed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.validator import Validator, run, running_validator
from tests.validator_sign_in import KEY, OWN, ZONES, alert, opened, sign_in

# The discard port, where nobody answers.
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Validator]:
    folder = tmp_path_factory.mktemp("validator")
    with running_validator(folder, NOBODY, ZONES=ZONES, SESSION_KEY=KEY) as service:
        yield service


def test_without_zones_there_is_no_sign_in(tmp_path: Path) -> None:
    with running_validator(tmp_path, NOBODY, SESSION_KEY=KEY) as service:
        assert opened(service) == (401, "")
        assert [service.ask(path, **OWN).status_code for path in ("/sign-in", "/sign-out")] == [404, 404]
        assert service.ask("/").json()["endpoints"] == ["/validate", "/health"]


def test_the_form_keeps_a_way_back_into_the_zone_and_drops_others(validator: Validator) -> None:
    page = validator.ask("/sign-in?return=https%3A%2F%2Fapp.smarterbot.cl%2F%3Fa%3D1%26b", **OWN)
    assert 'name="return" value="https://app.smarterbot.cl/?a=1&amp;b"' in page.text
    assert 'name="return" value=""' in validator.ask("/sign-in?return=https://evil.com/", **OWN).text
    assert validator.ask("/sign-in", host="app.smarterbot.cl").status_code == 404


def test_the_pages_are_closed(validator: Validator) -> None:
    for path in ("/sign-in", "/sign-out"):
        headers = validator.ask(path, **OWN).headers
        assert re.fullmatch(
            "default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; "
            r"frame-ancestors 'none'; form-action 'self' https://smarterbot\.cl:\* https://\*\.smarterbot\.cl:\*",
            headers["content-security-policy"],
        )
        assert (headers["x-frame-options"], headers["cache-control"]) == ("DENY", "no-store")
        assert (headers["referrer-policy"], headers["x-content-type-options"]) == ("same-origin", "nosniff")


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.com"},
        {"origin": "https://app.smarterbot.cl"},
        {"origin": "null"},
        {"origin": "http://api.smarterbot.cl"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://api.smarterbot.cl", "sec_fetch_site": "cross-site"},
        {},
    ],
)
def test_a_form_of_another_page_is_403(validator: Validator, sent: dict[str, str]) -> None:
    for path in ("/sign-in", "/sign-out"):
        response = validator.send(path, {"token": "s.token"}, host="api.smarterbot.cl", **sent)
        assert (response.status_code, alert(response)) == (
            403,
            "This form was sent from another site's page.",
        )
        assert "set-cookie" not in response.headers


def test_a_huge_form_is_413(validator: Validator) -> None:
    assert sign_in(validator, "x" * 40000).status_code == 413


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"ZONES": "smarterbot.cl"},
            "SESSION_KEY is not 64 hexadecimal digits, which ZONES needs: make one with `openssl rand -hex 32`",
        ),
        (
            {"ZONES": "smarterbot.cl, cl", "SESSION_KEY": KEY},
            "ZONES holds 'cl': write domains in lower case, for example smarterbot.cl,smarterbot.store",
        ),
        (
            {"ZONES": "smarterbot.cl", "SESSION_KEY": KEY, "SIGN_IN_HOST": "a.b"},
            "SIGN_IN_HOST is 'a.b': write one label of a domain, for example api",
        ),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_code_2(environ: dict[str, str], line: str) -> None:
    code, output = run("vault_auth_validator", environ | {"VAULT_ADDR": "http://vault:8200"})
    assert (code, output) == (2, f"vault-auth-validator: {line}\n")


@pytest.mark.parametrize("token", ["", "two words", "Zoë", "x" * 5000])
def test_what_can_be_no_token_is_refused_without_vault(validator: Validator, token: str) -> None:
    response = sign_in(validator, token)
    refusal = "Vault refuses this token: it is mistyped, expired or revoked, or may not look itself up."
    assert (response.status_code, alert(response)) == (403, refusal)


def test_an_absent_vault_is_said_on_the_form(validator: Validator) -> None:
    response = sign_in(validator, "s.token")
    text = "Nobody can sign in at present. Vault is unreachable."
    assert (response.status_code, alert(response)) == (503, text)

"""Signing in as a person does: Chromium, a real Caddy with forward_auth, the validator, a real OpenBao."""

import time
from collections.abc import Iterator

import httpx
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import title_is

from tests.chromium import alert, arrive, console, press, running_chromium, send_token, wait
from tests.openbao import OpenBao, running_openbao
from tests.validator import running_validator
from tests.validator_caddy import Site, running_site

ASKED = "https://app.smarterbot.cl/deals/7?id=7&next=%2Fa%20b&u=https://x.org/?y"
FORM = (
    "https://api.smarterbot.cl/sign-in?return=https%3A%2F%2Fapp.smarterbot.cl%2Fdeals%2F7"
    "%3Fid%3D7%26next%3D%252Fa%2520b%26u%3Dhttps%3A%2F%2Fx.org%2F%3Fy"
)
OTHER = "https://kpi.smarterbot.store/"
NAME = "__Secure-smarteros"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture(scope="module")
def site(bao: OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    settings = {"ZONES": "smarterbot.cl,smarterbot.store", "SESSION_KEY": "0f" * 32}
    with (
        running_validator(folder, bao.address, **settings) as validator,
        running_site(folder, validator.port) as site,
    ):
        yield site


@pytest.fixture(scope="module")
def chromium(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    # Both zones are this Caddy. The URLs have no port, as in production.
    addresses = {f"*.{zone}:443": f"127.0.0.1:{site.port}" for zone in ("smarterbot.cl", "smarterbot.store")}
    with running_chromium(tmp_path_factory.mktemp("chromium"), site.root, addresses) as driver:
        yield driver


@pytest.fixture
def browser(chromium: Chrome) -> Chrome:
    """Chromium as nobody's: without a cookie, and nothing on its console."""
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    console(chromium)
    return chromium


def sign_in(browser: Chrome, url: str, token: str) -> None:
    browser.get(url)
    send_token(browser, token)
    arrive(browser, url)


def session(browser: Chrome) -> dict[str, object] | None:
    """The session cookie that the browser would send to the page it shows."""
    cookie: dict[str, object] | None = browser.get_cookie(NAME)
    return cookie


def test_a_visitor_signs_in_and_is_back_at_the_exact_url(bao: OpenBao, browser: Chrome, site: Site) -> None:
    site.seen.clear()
    browser.get(ASKED)
    assert (browser.current_url, browser.title) == (FORM, "Sign in to smarterbot.cl")
    assert site.seen == []

    send_token(browser, "s.mistyped")
    refusal = "Vault refuses this token: it is mistyped, expired or revoked, or may not look itself up."
    assert alert(browser) == refusal
    assert session(browser) is None

    send_token(browser, bao.token(policies=["default"], display_name="alice"))
    arrive(browser, ASKED)
    assert browser.title == "Guarded"
    assert site.seen[-1]["x-vault-display-name"] == "token-alice"


def test_the_cookie_is_as_promised_and_no_service_sees_it(bao: OpenBao, browser: Chrome, site: Site) -> None:
    token = bao.token(ttl="1h")
    site.seen.clear()
    sign_in(browser, ASKED, token)
    cookie = session(browser)
    assert cookie
    expiry, value = cookie.pop("expiry"), cookie.pop("value")
    expected = {"domain": ".smarterbot.cl", "httpOnly": True, "path": "/", "sameSite": "Lax", "secure": True}
    assert cookie == expected | {"name": NAME}
    assert isinstance(expiry, int)
    assert 3500 < expiry - time.time() <= 3600
    assert token not in str(value)
    assert browser.execute_script("return document.cookie") == "its_own=1"
    browser.refresh()
    assert [headers.get("cookie") for headers in site.seen] == [None, "its_own=1"]


def test_a_script_without_a_session_gets_401_and_with_one_the_page(bao: OpenBao, browser: Chrome) -> None:
    fetch = "return fetch('/data', {headers: {Accept: 'text/html'}}).then(answer => answer.status)"
    sign_in(browser, ASKED, bao.token())
    assert browser.execute_script(fetch) == 200
    browser.delete_cookie(NAME)
    assert browser.execute_script(fetch) == 401


def test_each_zone_has_a_session_of_its_own(bao: OpenBao, browser: Chrome) -> None:
    sign_in(browser, ASKED, bao.token())
    browser.get(OTHER)
    form = "https://api.smarterbot.store/sign-in?return=https%3A%2F%2Fkpi.smarterbot.store%2F"
    assert (browser.current_url, browser.title) == (form, "Sign in to smarterbot.store")
    send_token(browser, bao.token())
    arrive(browser, OTHER)


def test_signing_out_guards_the_page_again(bao: OpenBao, browser: Chrome) -> None:
    sign_in(browser, ASKED, bao.token())
    browser.get("https://api.smarterbot.cl/sign-out")
    assert browser.title == "You are signed in to smarterbot.cl"
    press(browser)
    wait(browser).until(title_is("You are signed out"))
    assert session(browser) is None
    browser.get(ASKED)
    assert browser.current_url == FORM


def test_a_revoked_token_ends_the_visit(bao: OpenBao, browser: Chrome) -> None:
    token = bao.token()
    sign_in(browser, ASKED, token)
    bao.call("POST", "auth/token/revoke", {"token": token})
    browser.refresh()
    assert browser.current_url == FORM


def test_another_sites_form_signs_nobody_out(bao: OpenBao, browser: Chrome) -> None:
    sign_in(browser, ASKED, bao.token())
    sign_in(browser, OTHER, bao.token())
    post = """const form = document.createElement('form'); form.method = 'post';
    form.action = 'https://api.smarterbot.cl/sign-out'; document.body.append(form); form.submit()"""
    browser.execute_script(post)
    wait(browser).until(title_is("Not done"))
    browser.get(ASKED)
    assert browser.title == "Guarded"


def test_the_form_is_styled_focused_and_breaks_no_rule_of_its_own(browser: Chrome) -> None:
    browser.get(ASKED)
    assert browser.find_element(By.TAG_NAME, "label").value_of_css_property("font-weight") == "600"
    assert browser.switch_to.active_element.get_attribute("id") == "token"
    assert console(browser) == []


def test_a_client_cannot_say_whose_token_it_is(bao: OpenBao, browser: Chrome, site: Site) -> None:
    sign_in(browser, ASKED, bao.token(display_name="bob"))
    spoofed = {"X-Vault-Entity-Id": "root", "X-Vault-Display-Name": "root", "X-Vault-Policies": "all"}
    spoofed["X-Vault-Token"] = bao.token(display_name="carol", policies=["default"])
    browser.execute_script(f"return fetch('/', {{headers: {spoofed}}}).then(answer => answer.status)")
    vault = {name: value for name, value in site.seen[-1].items() if name.startswith("x-vault-")}
    assert vault == {"x-vault-display-name": "token-carol", "x-vault-policies": "default"}


def test_caddy_takes_the_session_and_nothing_else_out_of_the_cookies(
    bao: OpenBao, browser: Chrome, site: Site
) -> None:
    sign_in(browser, ASKED, bao.token())
    own = f"{NAME}={(session(browser) or {})['value']}"
    left = {
        own: None,
        f"{own}; {own}": None,
        f"{own}; b=2": "b=2",
        f"a=1; {own}": "a=1",
        f"a=1; {own}; b=2": "a=1; b=2",
        f"x{NAME}=1; {own};b=2": f"x{NAME}=1; b=2",
    }
    with httpx.Client(verify=False, trust_env=False) as client:
        for cookies in left:
            headers = {"Host": "app.smarterbot.cl", "Cookie": cookies}
            name = {"sni_hostname": "app.smarterbot.cl"}
            answer = client.get(f"https://127.0.0.1:{site.port}/", headers=headers, extensions=name)
            assert answer.status_code == 200
    assert [headers.get("cookie") for headers in site.seen[-len(left) :]] == list(left.values())


def test_a_vault_token_in_authorization_is_used_up_and_a_services_own_goes_on_to_it(
    bao: OpenBao, browser: Chrome, site: Site
) -> None:
    sign_in(browser, ASKED, bao.token())
    session_cookie = f"{NAME}={(session(browser) or {})['value']}"
    token = bao.token()
    for brought, arrived in (
        ({"Authorization": f"Bearer {token}"}, None),
        ({"Authorization": f"Bearer {token}", "X-Vault-Token": token}, None),
        ({"Authorization": "Bearer its.own.jwt", "X-Vault-Token": token}, "Bearer its.own.jwt"),
        ({"Authorization": "Bearer its.own.jwt", "Cookie": session_cookie}, "Bearer its.own.jwt"),
        ({"Authorization": "Basic eDp5", "Cookie": session_cookie}, "Basic eDp5"),
    ):
        with httpx.Client(verify=False, trust_env=False) as client:
            name = {"sni_hostname": "app.smarterbot.cl"}
            headers = {"Host": "app.smarterbot.cl", **brought}
            answer = client.get(f"https://127.0.0.1:{site.port}/", headers=headers, extensions=name)
        assert (answer.status_code, site.seen[-1].get("authorization")) == (200, arrived)
        assert "x-vault-spent" not in site.seen[-1]

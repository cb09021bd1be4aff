"""Sign-in: a person with a real browser comes to a guarded route of the deployed host, and gets in."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.expected_conditions import title_is

from tests.chromium import alert, arrive, console, press, running_chromium, send_token, wait
from tests.e2e.clients import browser as client
from tests.e2e.deployment import Deployment

ASKED = "https://mcp.smarterbot.cl/?a=1&b=%2Fx%20y"
FORM = (
    "https://api.smarterbot.cl/sign-in?return=https%3A%2F%2Fmcp.smarterbot.cl%2F%3Fa%3D1%26b%3D%252Fx%2520y"
)
MIRROR = "https://mcp.smarterbot.store/"
MIRROR_FORM = "https://api.smarterbot.store/sign-in?return=https%3A%2F%2Fmcp.smarterbot.store%2F"
TITLE = "MCP servers of smarterbot.cl"
NAME = "__Secure-smarteros"
GUARD = {"mcp-registry": {"guard": True}}
CHANGES = ["Generation | rendered files and their links", "Proxy | the Caddyfile is loaded"]


@pytest.fixture(scope="module")
def guarded(deployed: Deployment) -> Iterator[Deployment]:
    """The deployed host with the MCP registry behind the guard; without it again afterwards."""
    try:
        assert deployed.converge(overrides=GUARD).changes == CHANGES
        yield deployed
    finally:
        run = deployed.converge()
    assert run.changes == CHANGES
    assert client(deployed).get(MIRROR).status_code == 200


@pytest.fixture(scope="module")
def token(deployed: Deployment) -> str:
    """The one that `make token` shows."""
    run = deployed.run(deploy="tasks.commands.token.run", environment={"HOURS": "1"})
    (found,) = [line for line in run.lines if re.fullmatch(r"(s|hvs)\.\S+", line)]
    return found


@pytest.fixture
def browser(guarded: Deployment, tmp_path: Path) -> Iterator[Chrome]:
    """A person's browser, new: every name of both zones is the host, nothing else can be reached."""
    address = f"{guarded.host.address}:443"
    names = {f"*.{zone}:443": address for zone in ("smarterbot.cl", "smarterbot.store")}
    with running_chromium(tmp_path, guarded.lab.acme_root(), names) as browser:
        yield browser


def sign_in(browser: Chrome, url: str, token: str) -> None:
    browser.get(url)
    send_token(browser, token)
    arrive(browser, url)


def test_a_person_signs_in_and_out(browser: Chrome, token: str) -> None:
    browser.get(ASKED)
    assert (browser.current_url, browser.title) == (FORM, "Sign in to smarterbot.cl")
    assert console(browser) == []

    send_token(browser, "s.mistyped")
    refusal = "Vault refuses this token: it is mistyped, expired or revoked, or may not look itself up."
    assert alert(browser) == refusal
    assert browser.get_cookies() == []

    send_token(browser, token)
    arrive(browser, ASKED)
    assert browser.title == TITLE

    cookie = browser.get_cookie(NAME) or {}
    value, expiry = cookie.pop("value"), cookie.pop("expiry")
    flags = {"domain": ".smarterbot.cl", "path": "/", "httpOnly": True, "secure": True, "sameSite": "Lax"}
    assert cookie == {"name": NAME, **flags}
    assert 0 < expiry - time.time() <= 12 * 3600
    assert token not in value
    assert browser.execute_script("return document.cookie") == ""

    browser.get("https://api.smarterbot.cl/sign-out")
    assert browser.title == "You are signed in to smarterbot.cl"
    press(browser)
    wait(browser).until(title_is("You are signed out"))
    assert browser.get_cookies() == []
    browser.get(ASKED)
    assert browser.current_url == FORM


def test_each_zone_has_a_session_of_its_own(browser: Chrome, token: str) -> None:
    sign_in(browser, ASKED, token)
    browser.get(MIRROR)
    assert (browser.current_url, browser.title) == (MIRROR_FORM, "Sign in to smarterbot.store")
    send_token(browser, token)
    arrive(browser, MIRROR)
    assert browser.title == TITLE
    assert (browser.get_cookie(NAME) or {})["domain"] == ".smarterbot.store"


def test_a_program_is_refused_in_its_own_language(guarded: Deployment) -> None:
    answer = client(guarded).get(
        "https://mcp.smarterbot.cl/v0/servers", headers={"Accept": "application/json"}
    )
    refusal = {"error": "no token: send X-Vault-Token, or Authorization: Bearer"}
    assert (answer.status_code, answer.json()) == (401, refusal)

"""A real Chromium without a window, as nobody's: its names lead where a test says, and it trusts one more root, if any."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import url_to_be
from selenium.webdriver.support.wait import WebDriverWait

_FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run
--disable-background-networking --disable-component-update --disable-sync"""


@contextmanager
def running_chromium(folder: Path, root: Path | None, addresses: Mapping[str, str]) -> Iterator[Chrome]:
    """A browser with everything it keeps below the folder; root: what it trusts beside the public authorities.

    addresses: *.smarterbot.cl:443 → 127.0.0.1:8443; nothing else can be reached.
    """
    options = ChromeOptions()
    options.binary_location = _executable("chromium")
    for flag in _FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    rules = ", ".join(f"MAP {name} {address}" for name, address in addresses.items())
    options.add_argument(
        f"--host-resolver-rules={rules}{', ' * bool(rules)}MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    if root:
        _trust(folder / ".pki" / "nssdb", root)
    driver = Service(_executable("chromedriver"), env=environment)
    with Chrome(options=options, service=driver) as browser:
        yield browser


def wait(browser: Chrome) -> WebDriverWait[Chrome]:
    """Patience for what the browser does by itself."""
    return WebDriverWait(browser, 20, poll_frequency=0.05)


def console(browser: Chrome) -> list[dict[str, object]]:
    """What the browser complained about since it was last asked."""
    lines: list[dict[str, object]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return lines


def arrive(browser: Chrome, url: str) -> None:
    """Wait until the browser has gone there by itself. Fails with where it is instead, and what it shows."""
    try:
        wait(browser).until(url_to_be(url))
    except TimeoutException:
        shown = browser.find_element(By.TAG_NAME, "body").text
        pytest.fail(f"the browser is at {browser.current_url} instead of {url}, and shows:\n{shown}")


def press(browser: Chrome) -> None:
    """Press the button of the page that is shown."""
    _painted(browser)
    browser.find_element(By.TAG_NAME, "button").click()


def send_token(browser: Chrome, token: str) -> None:
    """Type it into the sign-in page that is shown, and press the button. Fails with what is shown in its place."""
    _painted(browser)
    try:
        wait(browser).until(lambda page: page.find_elements(By.ID, "token"))
    except TimeoutException:
        shown = browser.find_element(By.TAG_NAME, "body").text
        pytest.fail(f"the browser is at {browser.current_url}, no sign-in page, and shows:\n{shown}")
    _painted(browser)
    browser.find_element(By.ID, "token").send_keys(token)
    press(browser)


def _painted(browser: Chrome) -> None:
    """Chromium drops what is typed and clicked before it has painted a page: nobody can have meant it."""
    paints = "return performance.getEntriesByType('paint').length"
    wait(browser).until(lambda page: page.execute_script(paints))


def alert(browser: Chrome) -> str:
    """What the page says that went wrong, once it does."""
    wait(browser).until(lambda page: page.find_elements(By.CSS_SELECTOR, "[role=alert]"))
    return browser.find_element(By.ID, "error").text


def _trust(database: Path, root: Path) -> None:
    """Chromium takes its user's own authorities from an NSS database in the home folder."""
    database.mkdir(parents=True)
    place = ["-d", f"sql:{database}"]
    for arguments in (["-N", "--empty-password"], ["-A", "-n", "root", "-t", "C,,", "-i", str(root)]):
        subprocess.run([_executable("certutil"), *arguments, *place], check=True)


def _executable(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not installed: apt install chromium chromium-driver libnss3-tools"
    return found

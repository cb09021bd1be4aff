"""The status page, in a real browser: on a phone and on a desk, in light and in dark; and the README's picture of it.

``UPDATE_GOLDEN=1 pytest tests/commands/test_status_page.py`` takes the picture anew; it is to be looked at.
"""

import base64
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome

from tasks.commands import report
from tasks.facts import Room, Standing, Status
from tasks.facts.backups import Progress
from tasks.facts.certificates import Certificate
from tasks.facts.last_run import Course, Deploy
from tasks.facts.usage import Memory, Usage
from tasks.rendering import page as pages
from tasks.rendering import render, restore_files
from tasks.rendering.backup_files import PARTS
from tasks.rendering.templates import FOLDER
from tests.chromium import console, running_chromium
from tests.fake import fake
from tests.samples import ROOT

NOW = 1795413600  # 2026-11-23T06:00:00Z
DAY = 86400
PICTURE = ROOT / "docs" / "status.png"
BACKUP: dict[str, Any] = {"backup": {"endpoint": "https://s3.example.com", "bucket": "acme-smarteros"}}
WELL, DONE = Standing("running", "healthy", since=3 * DAY), Standing("exited", since=3 * DAY)
BROKEN = Standing("restarting", exit_code=1, restarts=7, since=3)
DEPLOY = Deploy("root@laptop", NOW - 7200, 61, "ok", "1a2b3c4d5e6f", "", ("Applications | n8n",))


def containers(made: report.Report) -> dict[str, Standing]:
    """All that there are, well."""
    return {
        item.name: replace(
            DONE if item.job else WELL,
            usage=Usage(render.image(item), 0 if item.job else item.size.used, item.size.memory_mb),
        )
        for service in made.services
        for item in service.containers
    }


def html(name: str = "vps", silent: tuple[str, ...] = (), **changes: Any) -> str:
    """The page of a host with everything, where nothing is wrong but for the changes to what it says."""
    with fake({}, **BACKUP):
        made = report.made(Status(clock=NOW))
        signed = Certificate("Let's Encrypt", NOW - 29 * DAY, NOW + 61 * DAY)
        parts = (*PARTS, *restore_files.PARTS)
        known: dict[str, Any] = {
            "docker": True,
            "containers": containers(made),
            "vault": {"sealed": False},
            "rooms": (Room("/", 40000, 41, 12),),
            "clock": NOW,
            "memory": Memory(7936, 3027, 2047, 1953),
            "certificates": dict.fromkeys(made.names, signed),
            "course": Course("1a2b3c4d5e6f", NOW - 7100, DEPLOY),
            "backup": Progress(
                succeeded={part.name: NOW - 20 for part in parts},
                until=NOW - 12,
                verified=dict.fromkeys(made.proofs, NOW - 5 * 3600.0),
                prepared=NOW - 9 * DAY,
            ),
        }
        state = Status(**known | changes)
        found = report.Reports("inventories/prod.py", NOW, {name: report.made(state)}, silent)
        return pages.page(report.data(found), report.drawings(found), "`make status-page`")


def broken() -> str:
    """One where Odoo does not start, and a reboot is due."""
    with fake({}, **BACKUP):
        there = containers(report.made(Status(clock=NOW)))
    course = Course("1a2b3c4d5e6f", NOW - 7100, DEPLOY, NOW - 3 * DAY, ("linux-image-6.12.57",))
    return html(course=course, containers={**there, "odoo": replace(BROKEN, usage=there["odoo"].usage)})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Nothing can be reached from it."""
    with running_chromium(tmp_path_factory.mktemp("chromium"), None, {}) as driver:
        yield driver


PHONE = (390, 844)


def show(
    browser: Chrome, tmp_path: Path, text: str, size: tuple[int, int] = PHONE, scheme: str = "light"
) -> None:
    """As a screen of that size shows it."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    path = tmp_path / "status.html"
    path.write_text(text, encoding="utf-8")
    console(browser)
    browser.get(path.as_uri())


# What reaches beyond the screen, or beyond its box in the drawing.
WIDER = """
const seen = [...document.querySelectorAll('body *')].filter(item => !item.closest('svg') && getComputedStyle(item).display !== 'none')
return [
    document.documentElement.scrollWidth - innerWidth,
    document.body.scrollWidth - innerWidth,
    seen.filter(item => item.getBoundingClientRect().right > innerWidth).map(item => item.outerHTML.slice(0, 100)),
    [...document.querySelectorAll('svg text')].filter(item => {
        const box = item.getBoundingClientRect()
        const around = (item.parentNode.querySelector('rect') || item.ownerSVGElement).getBoundingClientRect()
        return box.left < around.left || box.right > around.right || box.top < around.top || box.bottom > around.bottom
    }).map(item => item.textContent),
]
"""


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(browser: Chrome, tmp_path: Path, width: int) -> None:
    show(browser, tmp_path, broken(), (width, 844))
    assert browser.execute_script("return innerWidth") == width
    beyond, body, elements, texts = browser.execute_script(WIDER)
    assert (beyond <= 0, body <= 0, elements, texts) == (True, True, [], [])
    height = browser.execute_script(
        "return document.querySelector('svg .domain').getBoundingClientRect().height"
    )
    assert width < 390 or height > 11


def test_it_needs_nothing_else(browser: Chrome, tmp_path: Path) -> None:
    text = broken()
    show(browser, tmp_path, text)
    assert (
        browser.execute_script("return performance.getEntriesByType('resource').map(item => item.name)") == []
    )
    assert console(browser) == []
    assert not re.search(r"<script|<iframe|@import|\bsrc=|url\(|https?://(?!s3\.example)", text)


# Each text's contrast with what is behind it (WCAG 2, 1.4.3), where that is too little.
FAINT = """
const parts = color => (color.match(/[0-9.]+/g) || [0, 0, 0, 0]).map(Number)
const light = color => {
    const [r, g, b] = parts(color).slice(0, 3).map(part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
const behind = item => {
    const box = item.closest('g') && item.closest('g').querySelector('rect')
    if (box) return getComputedStyle(box).fill
    for (let each = item; each; each = each.parentElement) {
        const color = getComputedStyle(each).backgroundColor
        if (!(parts(color)[3] === 0)) return color
    }
}
return [...document.querySelectorAll('body *')]
    .filter(item => item.tagName !== 'title' && [...item.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
    .filter(item => getComputedStyle(item).display !== 'none')
    .map(item => {
        const ink = light(item.closest('svg') ? getComputedStyle(item).fill : getComputedStyle(item).color)
        const paper = light(behind(item))
        const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)
        return contrast < 4.5 ? `${item.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}` : ''
    }).filter(Boolean)
"""
WRONG = """
const color = (selector, name) => [...document.querySelectorAll(selector)].map(item => getComputedStyle(item)[name])
return [
    color('.card.bad li', 'color'), color('svg g.bad rect', 'stroke'), color('tr.bad td', 'color'),
    [...document.querySelectorAll('svg g.bad .title')].map(item => item.textContent),
    color('svg g.bad text.wrong', 'fill'),
    color('body', 'backgroundColor'),
]
"""
SCHEMES = {
    "light": ("rgb(179, 22, 27)", "rgb(246, 247, 249)"),
    "dark": ("rgb(255, 143, 138)", "rgb(20, 23, 28)"),
}


@pytest.mark.parametrize(("scheme", "colors"), SCHEMES.items(), ids=SCHEMES)
def test_what_is_wrong_is_red_and_everything_can_be_read(
    browser: Chrome, tmp_path: Path, scheme: str, colors: tuple[str, str]
) -> None:
    red, paper = colors
    show(browser, tmp_path, broken(), scheme=scheme)
    listed, box, row, titles, words, body = browser.execute_script(WRONG)
    assert (listed, box, titles, body) == ([red], [red], ["Odoo ERP"], [paper])
    assert set(row) == set(words) == {red}
    assert len(words) >= 2
    assert browser.execute_script(FAINT) == []


def test_a_host_that_is_well_has_nothing_red(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, html())
    assert browser.execute_script("return document.querySelectorAll('.wrong, .bad').length") == 0
    assert browser.execute_script("return document.querySelector('h1').textContent") == "All is well"


def test_the_drawing_has_what_the_catalogue_has(browser: Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, html())
    shown = browser.execute_script(
        """return [
            [...document.querySelectorAll('svg g .title')].map(item => item.textContent),
            Object.fromEntries([...document.querySelectorAll('svg g[class^=r]')].map(
                item => [item.querySelector('title').textContent, item.querySelectorAll('circle').length])),
            [...document.querySelectorAll('svg .domain, svg .data, svg .part')].map(item => item.textContent),
        ]"""
    )
    titles, lines, texts = shown
    assert titles == [
        "Caddy", "Chatwoot CRM", "Botpress Bot", "n8n Workflows", "Odoo ERP", "Metabase KPI", "MCP Registry", "Dokploy Panel",
        "Vault Auth API", "PostgreSQL", "Redis", "Vault", "Backup",
    ]  # fmt: skip
    # Each with its services, the stores with themselves.
    assert lines == {
        "internet": 9, "smarter-net": 12, "tenants-net": 2, "dokploy-network": 1, "backup-net": 1, "drill-net": 1,
        "postgres": 7, "redis": 2, "vault": 2,
    }  # fmt: skip
    assert {
        "the world: 80, 443, 443/udp",
        "crm.smarterbot.cl",
        "kpi.smarterbot.store",
        "chatwoot, chatwoot-sidekiq",
        "database n8n, n8n_data, n8n_files",
        "database dokploy, /etc/dokploy",
        "postgres_data",
        "copies everything into the bucket",
    } <= set(texts)


HOSTILE = "</title></svg><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\"> & `x"


def test_whatever_a_host_says_is_text(browser: Chrome, tmp_path: Path) -> None:
    state = Standing("running", "unhealthy", checked=HOSTILE, usage=Usage(HOSTILE, 1, 2))
    deploy = Deploy(HOSTILE, NOW - 60, 1, "failed", HOSTILE, HOSTILE, (HOSTILE,))
    text = html(
        HOSTILE,
        (HOSTILE,),
        containers={"odoo": state},
        course=Course(HOSTILE, NOW, deploy, NOW, (HOSTILE,)),
        rooms=(Room(HOSTILE, 1, 99, 99),),
        units=(HOSTILE,),
        certificates={"erp.smarterbot.cl": Certificate(HOSTILE, NOW - DAY, NOW + DAY)},
    )
    show(browser, tmp_path, text)
    assert browser.execute_script("return document.querySelectorAll('script, img').length") == 0
    assert browser.title.startswith("not well")
    assert browser.execute_script("return document.body.textContent").count("onerror") > 8
    assert browser.execute_script(WIDER)[:3] == [0, 0, []]


def test_a_host_without_docker_is_drawn_as_one_of_which_nothing_is_known(
    browser: Chrome, tmp_path: Path
) -> None:
    show(browser, tmp_path, html(docker=False, silent=("other",)))
    count = (
        "return [document.querySelectorAll('svg g.bad').length, document.querySelector('header').textContent]"
    )
    boxes, header = browser.execute_script(count)
    assert boxes == 13
    assert "other could not be reached" in header


def test_the_readmes_picture_is_of_this_page(browser: Chrome, tmp_path: Path) -> None:
    """Of its template: what runs, and in which version, may have gone on since."""
    template = sha256((FOLDER / "status" / "page.html.j2").read_bytes()).hexdigest()
    if os.environ.get("UPDATE_GOLDEN") == "1":
        browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        show(browser, tmp_path, broken(), (1240, 1180))
        taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_bytes(noted(base64.b64decode(taken["data"]), template))
    picture = PICTURE.read_bytes()
    assert note(picture) == template, (
        "the page has changed: UPDATE_GOLDEN=1 takes the README's picture of it anew"
    )
    assert len(picture) < 300_000
    assert "(docs/status.png)" in (ROOT / "README.md").read_text()


def noted(png: bytes, words: str) -> bytes:
    """The picture, with a text of its own at its end (a tEXt chunk before the last, which is IEND)."""
    chunk = b"tEXt" + b"Page\0" + words.encode()
    length, check = (len(chunk) - 4).to_bytes(4, "big"), zlib.crc32(chunk).to_bytes(4, "big")
    return png[:-12] + length + chunk + check + png[-12:]


def note(png: bytes) -> str:
    return png[png.rindex(b"tEXtPage\0") + 9 : -16].decode()

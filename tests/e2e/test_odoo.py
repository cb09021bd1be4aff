"""Odoo: what it prints, which addresses it gives out, and what of its routes a guard leaves open."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.e2e.clients import browser, loopback, secrets
from tests.e2e.deployment import Deployment
from tests.proxy import Proxy, running

ODOO = "https://erp.smarterbot.cl"
REPORT = "base.report_irmodulereference"  # the one that Odoo has without any module


def test_a_report_is_printed_as_a_pdf(deployed: Deployment) -> None:
    with browser(deployed) as visitor:
        signed_in(deployed, visitor)
        answer: httpx.Response = visitor.get(f"{ODOO}/report/pdf/{REPORT}/1")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")


SETTINGS = {
    "report.url": "http://127.0.0.1:8069",
    "web.base.url": ODOO,
    "web.base.url.freeze": "True",
}


def settings(deployment: Deployment) -> dict[str, str]:
    """What Odoo takes for its own address, and prints with."""
    query = "SELECT json_object_agg(key, value) FROM ir_config_parameter WHERE key ~ '^(web.base|report).url'"
    found: dict[str, str] = json.loads(
        deployment.sh(f'docker exec postgres psql -U postgres -d odoo -qAtX -c "{query}"')
    )
    return found


def told(session: httpx.Client) -> set[str]:
    """What its workers, each of which remembers it, say is Odoo's address."""
    asked = {
        "model": "ir.config_parameter",
        "method": "get_param",
        "args": ["web.base.url"],
        "kwargs": {},
    }
    call = {"jsonrpc": "2.0", "params": asked}
    answers = [session.post(f"{ODOO}/web/dataset/call_kw", json=call) for _ in range(20)]
    return {answer.json()["result"] for answer in answers}


def signed_in(deployment: Deployment, session: httpx.Client, url: str = ODOO) -> None:
    """The session is its administrator's."""
    given = {
        "db": "odoo",
        "login": "ops@smarterbot.cl",
        "password": secrets(deployment, "odoo")["ADMIN_PASSWORD"],
    }
    answer = session.post(
        f"{url}/web/session/authenticate", json={"jsonrpc": "2.0", "params": given}, timeout=60
    )
    assert answer.json()["result"]["is_admin"], answer.text


def test_its_own_address_is_its_domain_wherever_its_administrator_signs_in(deployed: Deployment) -> None:
    assert settings(deployed) == SETTINGS
    with loopback(deployed.host, 8069) as port, httpx.Client(trust_env=False) as session:
        signed_in(deployed, session, f"http://127.0.0.1:{port}")
    assert settings(deployed) == SETTINGS


def test_its_address_goes_with_the_domain_and_a_persons_is_kept(deployed: Deployment) -> None:
    compose = "docker compose -f /root/dkcompose/odoo-deploy.yaml run --rm --no-deps -T"
    theirs = "UPDATE ir_config_parameter SET value = 'https://theirs.cl' WHERE key = 'web.base.url'"
    try:
        with browser(deployed) as session:
            signed_in(deployed, session)
            assert told(session) == {ODOO}
            deployed.sh(f"{compose} -e BASE_URL=https://moved.cl odoo-init", timeout=300)
            assert told(session) == {"https://moved.cl"}
        assert settings(deployed) == {**SETTINGS, "web.base.url": "https://moved.cl"}
        deployed.sh(f'docker exec postgres psql -U postgres -d odoo -qX -c "{theirs}"')
        deployed.sh(f"{compose} odoo-init", timeout=300)
        assert settings(deployed) == {**SETTINGS, "web.base.url": "https://theirs.cl"}
    finally:
        # As Odoo has it before anybody has decided.
        undone = "DELETE FROM ir_config_parameter WHERE key IN ('web.base.url.freeze', 'smarteros.base_url')"
        deployed.sh(f'docker exec postgres psql -U postgres -d odoo -qX -c "{undone}"')
        deployed.sh(f"{compose} odoo-init", timeout=300)
    assert settings(deployed) == SETTINGS
    deployed.unchanged()


# Of every module that comes with Odoo, installed or not; the tests' are no one's.
MAP = """
import importlib, json
from odoo.http import _generate_routing_rules
from odoo.modules.module import get_modules
loaded = []
for name in get_modules():
    try:
        importlib.import_module(f"odoo.addons.{name}")
    except ImportError as error:
        print(f"{name} is left out: {error}")  # a library that no image has
    else:
        loaded.append(name)
rules = _generate_routing_rules(loaded, nodb_only=False, converters=env["ir.http"]._get_converters())
found = [
    dict(path=path, auth=endpoint.routing["auth"], website=bool(endpoint.routing.get("website")))
    for path, endpoint in rules
    if ".addons.test_" not in endpoint.func.__module__
]
print("MAP " + json.dumps(found))
"""


@dataclass(frozen=True)
class Rule:
    """A route of Odoo's, and who has to ask: anybody, or whoever has a login or a token."""

    path: str
    auth: str
    website: bool

    def samples(self) -> set[str]:
        """Paths that it is for, some of which look like others, each also below a language."""
        parts = [("x-1", "x/y"), ("static", "static/x"), ("7", "shop/x"), ("login", "my/login")]
        found = {_filled(self.path, word, path) for word, path in parts}
        return found | {f"/pt_BR{path}" for path in found}


_PART = re.compile(r"<(?:(\w+)(?:\((?:[^()]|\([^()]*\))*\))?:)?\w+>")


def _filled(rule: str, word: str, path: str) -> str:
    return _PART.sub(lambda part: {"int": "7", "path": path}.get(part[1], word), rule)


@pytest.fixture(scope="module")
def rules(deployed: Deployment) -> list[Rule]:
    """All that Odoo routes, as it says itself."""
    shell = "docker exec -i odoo odoo shell --no-http --workers=0 --max-cron-threads=0 --database=odoo"
    said = str(deployed.host.run(shell, input=MAP, timeout=300).stdout)
    found = [Rule(**each) for each in json.loads(said.rpartition("MAP ")[2])]
    assert {"/web/login", "/base_import_module/login_upload", "/my/orders", "/shop"} <= {
        rule.path for rule in found
    }
    return found


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Caddy as it is rendered, with Odoo behind a guard."""
    with running(tmp_path_factory.mktemp("closed"), odoo={"guard": True}) as proxy:
        yield proxy


# What Odoo itself asks a login or a token for, and yet nobody else does.
CUSTOMERS = {
    r"/my(/.*)?": "the portal",
    r"/(web_editor|mail)/font_to_img/.*|/logo|/logo\.png|/web/binary/company_logo": "images in mails",
    r"/im_livechat/(font-awesome|odoo_ui_icons)|/web/sign/get_fonts(/.*)?": "fonts of what visitors see",
    r"/auth_oauth/signin|/web/login_successful": "signing in, and its end for who has no portal",
    r"/calendar/(meeting|recurrence)/(accept|decline|view)": "an invitation's links, which hold a token",
    r"/forum/.*|/profile/(user/save|send_validation_email)": "a forum's members, some of whom keep its order",
    r"/slides/channel/(leave|subscribe|unsubscribe)|/slides/slide/(.*/set_(un)?completed|quiz/reset|send_share_email)":
        "a course's participants",
    r"/slides_survey/slide/get_certification_url|/survey/<int:survey_id>/get_certification": "who has passed",
    r"/payment/archive_token|/shop/cart/quick_add|/mailing/my": "customers of the shop with a login, and who gets mailings",
    r"/im_livechat/email_livechat_transcript": "16.0 asks its visitors for no login",
}  # fmt: skip


def test_what_odoo_asks_a_login_or_a_token_for_is_guarded(rules: list[Rule], closed: Proxy) -> None:
    asked = [rule for rule in rules if rule.auth != "public"]
    assert len(asked) > 300
    opened = {
        rule.path
        for rule in asked
        if any(closed.reaches(path, "erp.smarterbot.cl") for path in rule.samples())
    }
    assert sorted(path for path in opened if not any(re.fullmatch(part, path) for part in CUSTOMERS)) == []
    assert [part for part in CUSTOMERS if not any(re.fullmatch(part, path) for path in opened)] == []


# Pages that Odoo shows to everybody, and that are staff's.
STAFFS_PAGES = {
    "/@/": "its way from a page to the editor",
    "/@/<path:path>": "the same",
    "/hr_attendance/<token>": "the device at which staff clock in",
    "/pos_customer_display/<id_>/<device_uuid>": "a device of the shop's",
    "/pos_self_order/kiosk/increment_nb_print/": "a device of the shop's",
}


def test_what_a_website_shows_to_everybody_is_not_guarded(rules: list[Rule], closed: Proxy) -> None:
    shown = [rule for rule in rules if rule.website and rule.auth == "public"]
    assert len(shown) > 300
    hidden = {
        rule.path
        for rule in shown
        if not all(closed.reaches(path, "erp.smarterbot.cl") for path in rule.samples())
    }
    assert sorted(hidden) == sorted(STAFFS_PAGES)

"""Routes: what of each service everybody reaches, asked of a real Caddy with the rendered Caddyfile, byte for byte."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.model.catalogue import Route, domains
from tasks.rendering import render
from tasks.services import load
from tests.proxy import Proxy, running
from tests.samples import stack

GUARDED = ("n8n", "chatwoot", "botpress", "metabase", "odoo", "dokploy", "mcp-registry")
IDENTITY = ("x-vault-display-name", "x-vault-policies", "x-vault-entity-id", "x-vault-spent")
FORGED = dict.fromkeys(IDENTITY, "Authorization")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Everything that can be has a guard."""
    with running(tmp_path_factory.mktemp("guarded"), **{name: {"guard": True} for name in GUARDED}) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def walled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Open to one address: n8n, and Metabase with a guard besides; everything else as it is delivered."""
    panels: dict[str, Any] = {"n8n": {"allow_from": ["198.51.100.7", "203.0.113.0/24"]}}
    panels["metabase"] = {"allow_from": ["198.51.100.7"], "guard": True}
    with running(tmp_path_factory.mktemp("walled"), **panels) as proxy:
        yield proxy


def routes() -> dict[str, Route]:
    """Each service's first domain, with its route."""
    settings = stack()
    return {domains(settings, route)[0]: route for item in load(settings) for route in item.routes}


def plain(pattern: str) -> str:
    """A path that a pattern is for."""
    first, star, last = pattern.rpartition("*")
    return first.replace("*", "y") + ("y/z" if star and not last else "y" * len(star)) + last


METRICS = (
    "/metrics",
    "/metrics/",
    "/metrics?a=b",
    "/metrics/x",
    "//metrics",
    "/METRICS",
    "/%6detrics",
    "/%6Detrics%2f",
    "/./metrics",
    "/rest/../metrics",
    "/rest/..%2fmetrics",
    "/webhook/%2e%2e/metrics",
    "http://n8n.smarterbot.cl/metrics",
)


@pytest.mark.parametrize("target", METRICS)
def test_nobody_reads_metrics_through_the_proxy(guarded: Proxy, walled: Proxy, target: str) -> None:
    for proxy in (guarded, walled):
        for port in (proxy.port, proxy.loopback[5678]):
            assert (proxy.ask(target, port=port, source="127.0.0.9", X_Vault_Token="live"), proxy.seen) == (
                404,
                [],
            )


def test_what_is_not_the_metrics_goes_on_as_it_was_written(walled: Proxy) -> None:
    for target, arrived in (
        ("/metricsx", "/metricsx"),
        ("/rest/metrics", "/rest/metrics"),
        ("/metrics;x", "/metrics;x"),
        # A service that takes # for the end of a path gets none.
        ("/metrics#x", "/metrics%23x"),
    ):
        assert walled.ask(target, source="127.0.0.9") == 200
        assert walled.seen[0][0] == arrived


def test_metrics_are_taken_from_the_catalogue() -> None:
    scraped = [
        (item.name, render.scraped(item, route))
        for item in load(stack())
        for route in item.routes
        if item.metrics
    ]
    # Metabase's are on a port of their own, which no route leads to.
    assert scraped == [("n8n", ("/metrics",)), ("metabase", ())]


@pytest.mark.parametrize("domain", routes())
def test_what_is_public_passes_a_guard_and_carries_no_name(guarded: Proxy, domain: str) -> None:
    for pattern in routes()[domain].public:
        target = plain(pattern)
        assert guarded.reaches(
            target, domain, X_Vault_Token="s.x", Cookie="__Secure-smarteros=x; a=1", **FORGED
        )
        ((arrived, headers),) = guarded.seen
        assert (arrived, headers["cookie"]) == (target, "a=1")
        assert {name for name in headers if name.startswith("x-vault")} == set()


@pytest.mark.parametrize("domain", [name for name in routes() if not name.startswith("api.")])
def test_what_is_verified_of_a_guarded_route_is_guarded(guarded: Proxy, domain: str) -> None:
    assert not guarded.reaches(routes()[domain].check, domain)


PUBLIC = (
    "/webhook/abc",
    "/WebHook/abc",
    "/webhook/a%20b/c?next=//x/../y%2f;z",
    "/webhook/a..b/.c/...",
    "/webhook/a;b/",
    "/webhook-waiting/7",
    "/rest/oauth2-credential/callback?code=1&state=2",
)
FOOLING = (
    "/",
    "/webhook",
    "/webhookx/a",
    "/rest/settings",
    "/rest/oauth2-credential/callback/x",
    "/rest/oauth2-credential/callback/",
    "/webhook/../rest/settings",
    "/webhook/../../rest/settings",
    "/webhook/%2e%2e/rest/settings",
    "/webhook/.%2E/rest/settings",
    "/webhook/..%2frest/settings",
    "/webhook%2f..%2frest",
    "/webhook%2Fabc",
    "/webhook/%252e%252e/rest/settings",
    "/webhook/..%252frest/settings",
    "/webhook/..;/rest/settings",
    "/webhook/..;a=b/rest/settings",
    "/webhook/..%3b/rest/settings",
    "/webhook/..\\rest\\settings",
    "/webhook\\..\\rest\\settings",
    "/webhook/..%5crest%5csettings",
    "/webhook/a/..",
    "/webhook/.",
    "/webhook/./abc",
    "/webhook//abc",
    "/webhook//../rest",
    "//webhook/abc",
    "/webhook/..#/rest",
    "/webhook/..%23",
    "/webhook/%00",
    "/rest/../webhook/abc",
    "/rest/settings/../../webhook/abc",
    "/rest/settings/..%2f..%2fwebhook/abc",
    "/rest/settings/%2e%2e/%2e%2e/webhook/abc",
    "http://n8n.smarterbot.cl/webhook/abc",
)


@pytest.mark.parametrize("target", PUBLIC)
def test_a_webhook_needs_no_token(guarded: Proxy, target: str) -> None:
    assert guarded.reaches(target)


@pytest.mark.parametrize("target", FOOLING)
def test_no_way_of_writing_a_path_makes_it_public(guarded: Proxy, target: str) -> None:
    assert not guarded.reaches(target)
    assert not guarded.reaches(target, port=guarded.loopback[5678])
    if "\\" not in target and "%00" not in target:
        assert guarded.reaches(target, X_Vault_Token="live")


OTHERS = {
    "crm.smarterbot.cl": """
        / /app /app/login /auth/sign_in /api/v1/accounts/1/inboxes /api/v1/profile /super_admin /platform/api/v1/users
        /installation/onboarding /monitoring/sidekiq /widgets /cable/x""",
    "bot.smarterbot.cl": """
        /admin /studio/bot/flows /api/v1/auth/login/basic/default /api/v2/admin/management/users /api/v1/studio/bot/flows
        /assets/studio/bot /s/api/v1/studio/bot /api/v1/bots/a/studio/b""",
    "kpi.smarterbot.cl": "/ /auth/login /api/session /api/preview_embed/card/1 /public /publicx/",
    "erp.smarterbot.cl": """
        /web /web/ /WEB /%77eb /es/web /web/dataset/call_kw/res.users/read /web/database/manager /web/session/authenticate
        /jsonrpc /jsonrpc/ /es/jsonrpc /xmlrpc/2/object /es/xmlrpc/2/object //jsonrpc /my/../jsonrpc /shop//jsonrpc
        /odoo/sales /json/2/res.users/read /report/pdf/a/1 /base_import_module/login_upload /es/report/text/a/1 /doc
        /base_import/set_file /es/base_setup/data /html_editor/modify_image/7 /web_editor/attachment/add_data /web/become
        /web/webclient/load_menus/x /web/session/get_session_info /web/model/get_definitions /web/pivot/export_xlsx
        /web/binary/upload_attachment /mail/inbox/messages /web/health /web/tests /odoo/static/x /json/static/x /web/shop
        /web/my/orders /website/my/x /web/dataset/call_kw/my/orders /es/web/dataset/call_kw/shop/x /spanish/shop
        /slides/add_slide /es/slides/add_slide/ /shop/config/website /survey/results/x-1 /r /r/abc+ /en_US/r/abc+""",
    "dokploy.smarterbot.cl": "/ /api/auth/sign-in/email /api/trpc/user.all /api/deploy /api/providers/github/setup",
    "mcp.smarterbot.cl": "/ /v0/servers",
}


@pytest.mark.parametrize("domain", OTHERS)
def test_what_staff_use_is_guarded(guarded: Proxy, domain: str) -> None:
    targets = OTHERS[domain].split()
    assert [target for target in targets if guarded.reaches(target, domain)] == []
    assert all(guarded.reaches(target, domain, X_Vault_Token="live") for target in targets)


CUSTOMERS = """
    / /es /es/ /pt_BR /sr@latin/shop /my /my/ /web/login/ /my/orders/7?access_token=x /es/my/orders/7 /es/shop /zh_CN/shop/category/a-1/page/2
    /web/login /es/web/login?redirect=/my /web/signup /web/reset_password?token=x /web/session/logout?redirect=/
    /web/assets/1/a.js /web/assets/4-ab12/1/web.assets_frontend.min.js /web/image/7 /web/image/res.partner/7/image_128
    /web/content/7?download=true /website/translations/ab12?mods= /website_sale/static/src/img/a.png /sitemap.xml
    /sitemap-1-2.xml /robots.txt /payment/stripe/webhook /es/payment/status /websocket /longpolling/poll
    /im_livechat/loader/1 /event/fair-1/register /survey/start/ab-12?answer_token=x /survey/ab-12/cd-34 /r/abc /r/abc/m/7
    /mail/track/7/ab/blank.gif /mailing/7/unsubscribe?email=a@b.cl /fr_BE/mailing/7/unsubscribe /contactus-thank-you
    /calendar/meeting/accept?token=x /slides/a-course-1 /forum/help-1/ask /SHOP /%73hop"""


def test_odoos_customers_pass_a_guard(guarded: Proxy) -> None:
    assert [target for target in CUSTOMERS.split() if not guarded.reaches(target, "erp.smarterbot.cl")] == []


def test_what_settings_open_passes_a_guard_with_all_below_it_and_nothing_else(tmp_path: Path) -> None:
    opened: dict[str, Any] = {"n8n": {"guard": True, "public": ["/hooks/*", "/rest/settings"]}}
    opened["odoo"] = {"guard": True, "public": ["/our-shop/*", "/año"]}
    with running(tmp_path, **opened) as proxy:
        asked = "/hooks /hooks/ /hooks/a/b /rest/settings /rest/settings/x /hooksx /x/hooks/a /hooks/../rest/login"
        assert [target for target in asked.split() if proxy.reaches(target)] == [
            "/hooks", "/hooks/", "/hooks/a/b", "/rest/settings",
        ]  # fmt: skip
        asked = "/our-shop /es/our-shop/a/b /a%C3%B1o /our-shopx /web/our-shop /our-shop/../jsonrpc /es/our-shop//web"
        assert [target for target in asked.split() if proxy.reaches(target, "erp.smarterbot.cl")] == [
            "/our-shop", "/es/our-shop/a/b", "/a%C3%B1o",
        ]  # fmt: skip


def test_a_vault_token_in_authorization_reaches_no_service(guarded: Proxy) -> None:
    assert guarded.reaches("/rest/settings", Authorization="Bearer live")
    ((_, headers),) = guarded.seen
    assert (headers.get("authorization"), headers["x-vault-display-name"]) == (None, "alice")
    assert "x-vault-spent" not in headers


@pytest.mark.parametrize("own", ["Basic YTpi", "Bearer its.own.jwt"])
def test_an_authorization_of_the_services_own_reaches_it(guarded: Proxy, own: str) -> None:
    assert guarded.reaches("/rest/settings", Authorization=own, X_Vault_Token="live", **FORGED)
    ((_, headers),) = guarded.seen
    assert (headers["authorization"], headers.get("x-vault-token")) == (own, None)
    assert not guarded.reaches("/rest/settings", Authorization=own)
    assert guarded.reaches("/webhook/abc", Authorization=own)
    assert guarded.seen[0][1]["authorization"] == own


def test_allow_from_lets_in_its_networks_and_everybody_to_what_is_public(walled: Proxy) -> None:
    assert (walled.ask("/rest/settings"), walled.seen) == (403, [])
    assert (walled.ask("/rest/settings", X_Forwarded_For="198.51.100.7"), walled.seen) == (403, [])
    assert walled.ask("/rest/settings", source="127.0.0.9") == 200
    assert walled.ask("/webhook/abc") == 200
    assert walled.ask("/webhook/%2e%2e/rest/settings") == 403
    assert walled.ask("/rest/settings", port=walled.loopback[5678]) == 200
    assert walled.ask("/", "erp.smarterbot.cl") == 200


def test_allow_from_and_a_guard_ask_for_both(walled: Proxy) -> None:
    for domain in ("kpi.smarterbot.cl", "kpi.smarterbot.store"):
        assert walled.ask("/api/user", domain, X_Vault_Token="live") == 403
        assert walled.ask("/api/user", domain, source="127.0.0.9") == 401
        assert walled.ask("/api/user", domain, source="127.0.0.9", X_Vault_Token="live") == 200
        assert walled.ask("/embed/dashboard/x", domain) == 200


def test_a_session_of_the_guards_reaches_no_service_without_one(walled: Proxy) -> None:
    assert (
        walled.ask(
            "/", "crm.smarterbot.cl", Cookie="a=1; __Secure-smarteros=x", X_Vault_Token="live", **FORGED
        )
        == 200
    )
    ((_, headers),) = walled.seen
    assert headers["cookie"] == "a=1"
    assert {name for name in headers if name.startswith("x-vault")} == set()

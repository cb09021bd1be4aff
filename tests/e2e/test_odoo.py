"""Odoo: it prints, for which its workers hand on enough address space."""

import httpx

from tests.e2e.clients import browser, secrets
from tests.e2e.deployment import Deployment

ODOO = "https://erp.smarterbot.cl"
REPORT = "base.report_irmodulereference"  # the one that Odoo has without any module


def test_a_report_is_printed_as_a_pdf(deployed: Deployment) -> None:
    given = {
        "db": "odoo",
        "login": "ops@smarterbot.cl",
        "password": secrets(deployed, "odoo")["ADMIN_PASSWORD"],
    }
    with browser(deployed) as visitor:
        visitor.post(f"{ODOO}/web/session/authenticate", json={"jsonrpc": "2.0", "params": given})
        answer: httpx.Response = visitor.get(f"{ODOO}/report/pdf/{REPORT}/1")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")

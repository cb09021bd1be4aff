"""MCP registry: its page and its API under both domains, from the settings."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.clients import browser
from tests.e2e.deployment import Deployment

DOMAINS = ["mcp.smarterbot.cl", "mcp.smarterbot.store"]
CHANGES = [
    "Generation | rendered files and their links",
    "Services | MCP Registry",
    "Dokploy | stack files are registered, the nightly clean-up is off",
]
CRM = {
    "name": "cl.smarterbot/crm",
    "description": "Conversations of the CRM, `for` \\} {env.HOME} <b>agents</b>",
    "version": "1.0.0",
    "remote": "https://n8n.smarterbot.cl/mcp/crm",
}
SHOWN = {
    "server": {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": "cl.smarterbot/crm",
        "description": "Conversations of the CRM, `for` \\} {env.HOME} <b>agents</b>",
        "version": "1.0.0",
        "remotes": [{"type": "streamable-http", "url": "https://n8n.smarterbot.cl/mcp/crm"}],
    },
    "_meta": {"io.modelcontextprotocol.registry/official": {"status": "active", "isLatest": True}},
}


@pytest.fixture(scope="module")
def listed(deployed: Deployment) -> Iterator[Deployment]:
    """The deployed host with one server in its registry; with none again afterwards."""
    try:
        assert deployed.converge(mcp_servers=[CRM]).changes == CHANGES
        yield deployed
    finally:
        run = deployed.converge()
    assert run.changes == CHANGES


def answered(deployment: Deployment, url: str) -> tuple[int, str, Any]:
    answer = browser(deployment).get(url)
    return answer.status_code, answer.headers["content-type"], answer.json()


@pytest.mark.parametrize("domain", DOMAINS)
def test_programs_find_the_servers(listed: Deployment, domain: str) -> None:
    ok, servers = (200, "application/json"), f"https://{domain}/v0/servers"
    assert answered(listed, servers) == (*ok, {"servers": [SHOWN], "metadata": {"count": 1}})
    for name in ("cl.smarterbot%2Fcrm", "cl.smarterbot/crm", "cl.smarterbot%2Fcrm/versions/latest"):
        assert answered(listed, f"{servers}/{name}") == (*ok, SHOWN)
    unknown = f"{servers}/cl.smarterbot%2Funknown"
    assert answered(listed, unknown) == (404, "application/json", {"error": "not found"})
    assert answered(listed, f"https://{domain}/v0/health") == (*ok, {"status": "ok"})


@pytest.mark.parametrize("domain", DOMAINS)
def test_people_find_a_page(listed: Deployment, domain: str) -> None:
    answer = browser(listed).get(f"https://{domain}/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<h2>cl.smarterbot/crm</h2>" in answer.text
    assert "{env.HOME} &lt;b&gt;agents&lt;/b&gt;</p>" in answer.text
    assert '<a href="https://n8n.smarterbot.cl/mcp/crm">' in answer.text


def test_scripts_of_other_sites_may_read(listed: Deployment) -> None:
    answer = browser(listed).get(
        "https://mcp.smarterbot.cl/v0/servers", headers={"Origin": "https://x.example"}
    )
    assert answer.headers["access-control-allow-origin"] == "*"


def test_its_files_outlive_the_generations_that_follow(listed: Deployment) -> None:
    """Only what has changed is started anew: a container goes on with the generation that it was started with."""
    generations = "/opt/smarteros/generations"
    listed.sh(f"mkdir {generations}/later{{1..9}}; echo >> /opt/smarteros/current/scripts/sync-forks.sh")
    try:
        assert listed.converge(mcp_servers=[CRM]).changes == CHANGES[:1]
        left = listed.sh(f"ls {generations}").split()
    finally:
        listed.sh(f"rm -r {generations}/later?")
    assert len([name for name in left if name.startswith("later")]) == 4
    assert answered(listed, "https://mcp.smarterbot.cl/v0/servers")[0] == 200

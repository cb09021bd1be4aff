"""The health gate: a service that does not become healthy fails the run, and those after it are not touched."""

from tests.e2e.deployment import Deployment
from tests.e2e.visitors import visiting

# Node runs this instead of n8n: it prints 120 lines, then hangs.
HANGS = (
    "data:text/javascript,for(let/**/i=1;i<=120;i++)console.log(`line/${i}`);"
    "setInterval(Date,1e6);await/**/new/**/Promise(Date)"
)
FILES = "Generation | rendered files and their links"
BEFORE, FAILING = "Services | Botpress Bot", "Services | n8n Workflows"
AFTER = {
    "odoo": "odoo",
    "metabase": "smarteros-metabase",
    "mcp-registry": "mcp-registry-web",
    "dokploy": "dokploy",
    "vault-auth-validator": "vault-auth-validator",
    "caddy": "caddy-proxy",
}


def test_an_unhealthy_service_stops_the_run_before_those_after_it(deployed: Deployment) -> None:
    after = f"docker inspect --format '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {' '.join(AFTER.values())}"
    before = deployed.sh(after)
    # Whatever the run came to after n8n would be made anew for its new limit.
    with visiting(deployed, "https://n8n.smarterbot.cl/healthz") as visits:
        run = deployed.refused(
            overrides={
                "botpress": {"memory_mb": 2100},
                "n8n": {"environment": {"NODE_OPTIONS": f"--import={HANGS}"}, "health_seconds": 8},
                **{name: {"memory_mb": 2100} for name in AFTER},
            }
        )
    assert set(visits.answers) == {"200"}, visits
    assert run.changed == {"lab-1": [FILES, BEFORE]}, run.output
    assert run.failed == {"lab-1": [FAILING]}
    assert deployed.sh(after) == before

    sentence = "n8n: container n8n on lab-1 is not healthy after 8 s ("
    start = next(number for number, line in enumerate(run.lines) if line.startswith(sentence))
    assert run.lines[start].endswith("); its last 50 log lines:")
    end = start + 51
    assert run.lines[start + 1 : end] == [f"line/{number}" for number in range(71, 121)]
    assert any(line.startswith("n8n on lab-1 runs as before again") for line in run.lines[end:])

    # What came before it has changed already, and changes back; n8n's own job has been made of the other settings, too.
    assert deployed.converge().changes == [BEFORE, FAILING]
    deployed.unchanged()

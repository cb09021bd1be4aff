"""A bad image: the gate fails the run, what ran before is back by itself, and no visitor has noticed but by waiting."""

import io
import json
from dataclasses import dataclass, field

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.test_convergence import CHATWOOT, FILES, MCP, METABASE
from tests.e2e.visitors import visiting
from tests.lab.images import ensure, recipe_for
from tests.lab.lab import Lab
from tests.lab.publish import Registry, stage_files, target

IMAGES = "Generation | missing images start to arrive"
STATE = """
readlink /opt/smarteros/current
docker ps --format '{{.Names}} {{.Image}}' | sort
"""


HEALTH_SECONDS = 6


@dataclass(frozen=True)
class Bad:
    """images: the good one and the bad one. lines: of a Dockerfile, what is bad of it. again: what the next run has to repeat."""

    service: str
    operation: str
    url: str
    images: tuple[str, str]
    lines: list[str]
    again: list[str] = field(default_factory=list)


ERRORS = (
    "import http.server as s; h = s.BaseHTTPRequestHandler; h.do_GET = lambda self: self.send_error(500);"
    " s.ThreadingHTTPServer(('', 3000), h).serve_forever()"
)

BAD = {
    "that answers with errors only": Bad(
        "metabase",
        METABASE,
        "https://kpi.smarterbot.cl/api/health",
        ("metabase/metabase:v0.64.1.5", "metabase/metabase:v0.64.99"),
        [f"ENTRYPOINT {json.dumps(['python3', '-c', ERRORS])}", "CMD []"],
    ),
    "that ends at once": Bad(
        "mcp-registry",
        MCP,
        "https://mcp.smarterbot.cl/v0/health",
        ("caddy:2.11.7-alpine", "caddy:2.11.99-alpine"),
        ['ENTRYPOINT ["false"]'],
    ),
    # Its job runs first, so that nothing is stopped, and has to run again.
    "that cannot start": Bad(
        "chatwoot",
        CHATWOOT,
        "https://crm.smarterbot.cl/health",
        ("chatwoot/chatwoot:v4.15.1", "chatwoot/chatwoot:v4.15.99"),
        ["USER root", "RUN rm /usr/local/bin/bundle"],
        again=[CHATWOOT],
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_an_image(deployed: Deployment, bad: Bad) -> None:
    publish(deployed.lab, *bad.images, bad.lines)
    before = deployed.sh(STATE)
    with visiting(deployed, bad.url) as visits:
        run = deployed.run(
            overrides={bad.service: {"image": bad.images[1], "health_seconds": HEALTH_SECONDS}}
        )
        assert run.code == 1, run.output
        assert run.failed == {"lab-1": [bad.operation]}
        assert run.changed == {"lab-1": [FILES, IMAGES]}
        assert any(line.startswith(f"{bad.service} on lab-1 runs as before again") for line in run.lines)
    assert deployed.sh(STATE) == before
    assert set(visits.answers) == {"200"}, visits
    assert visits.answers["200"] > 50
    print(f"the longest wait {visits.longest:.1f} s")
    # Held, they would wait for as long as the new one has to become healthy.
    assert bad.service == "metabase" or visits.longest < HEALTH_SECONDS
    # The generation of before is active, so that there is nothing to do but for a job that has failed.
    assert deployed.converge().changes == bad.again
    deployed.unchanged()
    deployed.sh(f"docker rmi --force {bad.images[1]}")


def publish(lab: Lab, good: str, reference: str, lines: list[str]) -> None:
    """The registry has an image like the good one under that reference, but for these lines."""
    recipe, tag = recipe_for(good), "smarteros-lab/bad:latest"
    base = ensure(lab.client, recipe, stage_files=stage_files(lab.authority))
    text = "\n".join([f"FROM {base}", *lines])
    lab.client.images.build(fileobj=io.BytesIO(text.encode()), tag=tag, network_mode="host", rm=True)
    Registry(lab.client, lab.state.key).push(tag, target(lab.state.key, reference))
    lab.client.images.remove(tag, noprune=True)

"""Rollback: the generation before is back, image and files, while visitors only wait; the next deploy rolls forward again."""

import json
import time
from typing import Any

from tests.e2e.deployment import Deployment
from tests.e2e.test_bad_image import publish
from tests.e2e.test_convergence import FILES, MCP
from tests.e2e.visitors import visiting

GENERATIONS, ROLLBACK = "tasks.commands.generations.run", "tasks.commands.rollback.run"
STACKS = "Dokploy | stack files are registered, the nightly clean-up is off"
IMAGES = ("caddy:2.11.7-alpine", "caddy:2.11.98-alpine")
URL = "https://mcp.smarterbot.cl/v0/health"
RUNS = "docker inspect --format '{{.Config.Image}} {{.State.Health.Status}}' mcp-registry-web"
RECORDS = "/opt/smarteros/records"


def listed(host: Deployment) -> list[dict[str, object]]:
    run = host.run(deploy=GENERATIONS, environment={"JSON": "1"})
    run.unchanged()
    start = run.output.index('{\n  "version"')
    found = json.JSONDecoder().raw_decode(run.output, start)[0]["hosts"]["lab-1"]
    return list(found["generations"])


def test_a_rollback_brings_the_generation_before_back_and_a_deploy_rolls_forward(
    deployed: Deployment,
) -> None:
    deployed.converge()
    before = listed(deployed)[-1]
    publish(deployed.lab, *IMAGES, ["LABEL later=yes"])
    other: dict[str, Any] = {"overrides": {"mcp-registry": {"image": IMAGES[1]}}}
    deployed.converge(**other)
    assert deployed.sh(RUNS) == f"{IMAGES[1]} healthy\n"
    newer = listed(deployed)[-1]
    assert newer["number"] == int(str(before["number"])) + 1
    assert "image caddy: 2.11.7-alpine → 2.11.7-alpine, 2.11.98-alpine" in str(newer["changed"])
    assert "overrides.mcp-registry" in str(newer["changed"])

    with visiting(deployed, URL) as visits:
        began = time.monotonic()
        back = deployed.run(deploy=ROLLBACK, **other)
        seconds = time.monotonic() - began
    assert (back.code, back.changes) == (0, [FILES, MCP, STACKS]), back.output[-6000:]
    assert deployed.sh(RUNS) == f"{IMAGES[0]} healthy\n"
    assert set(visits.answers) == {"200"}, visits
    assert any(
        "the next `make deploy INVENTORY=inventories/lab.py` with them rolls forward" in line
        for line in back.lines
    )
    print(f"rolled back in {seconds:.1f} s, the longest wait {visits.longest:.1f} s")
    last = listed(deployed)[-1]
    assert (last["back_to"], last["images"]) == (before["number"], before["images"])
    # Again, by its number: nothing is left to do.
    again = deployed.run(deploy=ROLLBACK, environment={"TO": str(before["number"])}, **other)
    again.unchanged()

    assert deployed.converge(**other).changes == [FILES, MCP, STACKS]
    # Without a number it leads to where the last one came from.
    for image in IMAGES:
        toggled = deployed.run(deploy=ROLLBACK, **other)
        assert (toggled.code, toggled.changes) == (0, [FILES, MCP, STACKS]), toggled.output[-6000:]
        assert deployed.sh(RUNS) == f"{image} healthy\n"
    newer = listed(deployed)[-1]
    deployed.converge()
    assert deployed.sh(f"stat -c '%a %U' {RECORDS} {RECORDS}/[0-9]*/made | sort -u") == "600 root\n700 root\n"
    kept = listed(deployed)
    assert len([item for item in kept if not item["same_as"] and not item["failed"]]) <= 5
    assert len(kept) <= 10
    deployed.sh(f"docker rmi --force {IMAGES[1]}")
    # Its image is gone: that is said before anything is done.
    number = str(newer["number"])
    refused = deployed.refused(deploy=ROLLBACK, environment={"TO": number})
    assert (
        f"generation {number} is not whole on the host any more, which lacks the image {IMAGES[1]}"
        in refused.output
    )
    assert refused.changes == []
    deployed.unchanged()

"""Pins: what the tags stand for is asked on the host, deployed by digest, and told when a tag has moved on."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.deployment import Deployment

FEW: dict[str, Any] = {"services": ["vault", "redis"]}
PIN, OUTDATED = "tasks.commands.pin.run", "tasks.commands.outdated.run"


def test_a_pinned_host_runs_what_its_pins_say_and_is_told_what_has_moved_on(
    spare: Deployment, inventory: Path
) -> None:
    given: dict[str, Any] = {"inventory": str(inventory), **FEW}
    spare.converge(**given)
    pinned = spare.run(deploy=PIN, **given)
    assert pinned.code == 0, pinned.output[-4000:]
    lock = inventory.with_suffix(".lock.json")
    images = json.loads(lock.read_text())["images"]

    deployed = spare.converge(**given)
    assert deployed.changes != []
    for name in ("vault", "redis"):
        running = spare.sh(f"docker inspect --format '{{{{.Config.Image}}}}' {name}").strip()
        tag, digest = running.split("@")
        assert images[tag] == digest
    spare.unchanged(**given)

    # The tag stands for another image than the pin says: one that the host was never told of.
    redis = next(image for image in images if image.startswith("redis:"))
    lock.write_text(json.dumps({"images": {**images, redis: f"sha256:{'0' * 64}"}}))
    told = spare.run(deploy=OUTDATED, **given)
    assert told.code == 2, told.output[-4000:]
    assert [line for line in told.lines if "pinned to sha256:000000000000" in line and "make pin" in line]
    gone = spare.run(**given)
    assert gone.code == 1
    assert [line for line in gone.lines if "0000" in line and redis in line], gone.output[-4000:]
    assert spare.sh("docker inspect --format '{{.State.Health.Status}}' redis").strip() == "healthy"

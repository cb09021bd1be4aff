"""Bucket: a bare host is deployed with backups, and what opens them is in a real bucket before anything hangs on it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.clients import kit as kits
from tests.e2e.deployment import Deployment, Run
from tests.lab import s3

BUCKET = "tasks.commands.bucket.run"
CHECK = "tasks.commands.kit_check.run"
RECOVERY = "Recovery | what this machine alone knows is sealed and in the bucket"
# Both programs make theirs, unless a run has done so already.
REPOSITORIES = """
docker exec postgres pgbackrest --stanza=main stanza-create && docker exec postgres pgbackrest --stanza=main check || exit 1
restic() { docker compose -f /opt/smarteros/current/dkcompose/backup-deploy.yaml run --rm -T backup-check "$@"; }
restic cat config >/dev/null || restic init
"""


@pytest.fixture
def backed(bare: Deployment, tmp_path: Path) -> "Backed":
    """A bare host, the lab's S3 server, and a place for the kit."""
    return Backed(bare, bare.lab.bucket(), tmp_path / "kit.json")


class Backed:
    """Runs on a host whose settings name the bucket, with what the operator has in the environment."""

    def __init__(
        self,
        host: Deployment,
        setting: dict[str, str],
        path: Path,
        services: Sequence[str] = ("vault", "postgres"),
    ) -> None:
        self.host, self.path = host, path
        self._settings: dict[str, Any] = {"services": list(services), "backup": setting}
        operator = {"AWS_ACCESS_KEY_ID": s3.ADMIN[0], "AWS_SECRET_ACCESS_KEY": s3.ADMIN[1]}
        self._environment = {**host.lab.names, **operator, "KIT": str(path)}

    def run(self, deploy: str = "deploy.py", **settings: Any) -> Run:
        """One of them, as loud as it gets."""
        given = {**self._settings, **settings}
        return self.host.run("-vvv", deploy=deploy, environment=self._environment, **given)

    def kit(self) -> kits.Kit:
        """The operator's file."""
        found = kits.read(self.path)
        assert found is not None
        return found


def test_a_bare_host_is_deployed_with_backups(backed: Backed) -> None:
    refused = backed.run()
    assert (refused.code, refused.changes) == (1, []), refused.output[-3000:]
    assert (
        "has what opens the bucket: `make bucket KIT=… INVENTORY=inventories/lab.py` sets it up"
        in refused.output
    )
    made = backed.run(BUCKET)
    assert made.code == 0, made.output[-3000:]
    kit = backed.kit()
    assert "it was refused what would destroy backups" in made.output
    early = backed.run(CHECK)
    assert early.code == 1
    assert "has no recovery/bare/state yet: `make deploy` stores it" in early.output
    first = backed.run()
    assert first.code == 0, first.output[-6000:]
    assert "nobody has proven yet that the kit opens these backups" in first.output
    checked = backed.run(CHECK)
    assert checked.code == 0, checked.output[-3000:]
    assert "the sealed state opens" in checked.output
    again = backed.run()
    assert (again.code, again.changes) == (0, []), again.changes
    assert "nobody has proven yet" not in again.output
    backed.host.sh(REPOSITORIES, timeout=300)
    opened = backed.run(CHECK)
    assert "restic's repository (files, dumps, Vault) opens" in opened.output, opened.output[-3000:]
    assert "pgBackRest's archive (databases) opens" in opened.output, opened.output[-3000:]
    shown = "".join(run.output for run in (refused, made, early, first, checked, again, opened))
    keys = kit.keys
    for secret in (
        kit.secret_key,
        kit.recovery_key,
        keys.restic,
        keys.pgbackrest,
        keys.private.hex(),
        s3.ADMIN[1],
    ):
        assert secret not in shown
    folder = backed.host.lab.state.folder / "state" / backed.host.host.name
    for key in json.loads((folder / "vault.json").read_text())["keys"]:
        assert key not in shown

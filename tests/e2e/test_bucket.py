"""Bucket: a bare host is deployed with backups, and what opens them is in a real bucket before anything hangs on it."""

import json
from pathlib import Path

import pytest

from tests.e2e.backed import BUCKET, Backed
from tests.e2e.deployment import Deployment
from tests.lab import s3

CHECK = "tasks.commands.kit_check.run"
RECOVERY = "Recovery | what this machine alone knows is sealed and in the bucket"
# Both programs make theirs, unless a run has done so already.
REPOSITORIES = """
docker exec postgres pgbackrest --stanza=main stanza-create && docker exec postgres pgbackrest --stanza=main check || exit 1
restic() { docker compose -f /opt/smarteros/current/dkcompose/backup-deploy.yaml run --rm -T backup-check "$@"; }
restic cat config >/dev/null || restic init
"""


@pytest.fixture
def fresh(bare: Deployment, tmp_path: Path) -> Backed:
    """A bare host, the lab's S3 server, and a place for the kit."""
    return Backed(bare, bare.lab.bucket(bare.host.name), tmp_path / "kit.json")


def test_a_bare_host_is_deployed_with_backups(fresh: Backed) -> None:
    refused = fresh.run()
    assert (refused.code, refused.changes) == (1, []), refused.output[-3000:]
    assert (
        "has what opens the bucket: `make bucket KIT=… INVENTORY=inventories/lab.py` sets it up"
        in refused.output
    )
    made = fresh.run(BUCKET)
    assert made.code == 0, made.output[-3000:]
    kit = fresh.kit()
    assert "it was refused what would destroy backups" in made.output
    early = fresh.run(CHECK)
    assert early.code == 1
    assert "has no recovery/bare/state yet: `make deploy INVENTORY=inventories/lab.py` stores it" in early.output
    first = fresh.run()
    assert first.code == 0, first.output[-6000:]
    assert "nobody has proven yet that the kit opens these backups" in first.output
    checked = fresh.run(CHECK)
    assert checked.code == 0, checked.output[-3000:]
    assert "the sealed state opens" in checked.output
    again = fresh.run()
    assert (again.code, again.changes) == (0, []), again.changes
    assert "nobody has proven yet" not in again.output
    fresh.host.sh(REPOSITORIES, timeout=300)
    opened = fresh.run(CHECK)
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
    folder = fresh.host.lab.state.folder / "state" / fresh.host.host.name
    for key in json.loads((folder / "vault.json").read_text())["keys"]:
        assert key not in shown

"""Update: another tag of n8n works and is pinned; one whose check fails ends on the image and the rows of before."""

import json
import time
from pathlib import Path

from tasks.commands import update_note
from tests.e2e.backed import Backed
from tests.e2e.deployment import Run
from tests.e2e.test_bad_image import publish
from tests.e2e.test_restore import sql

DRILL = "tasks.commands.drill.run"
PROVEN = "grep -c 'restore_verified.*\"n8n' /var/lib/smarteros/metrics/*.prom | grep -v ':0'; true"
RUNS = "docker inspect --format '{{.Config.Image}} {{.State.Health.Status}}' n8n"
OLD, GOOD, BAD = (f"n8nio/n8n:2.30.{patch}" for patch in ("8", "98", "99"))
# It comes up, has another path for webhooks than what users call, and takes rows away as it starts.
TAKES = (
    "const {Client} = require('/usr/local/lib/node_modules/n8n/node_modules/pg'), e = process.env;"
    "const c = new Client({host: e.DB_POSTGRESDB_HOST, user: e.DB_POSTGRESDB_USER, password: e.DB_POSTGRESDB_PASSWORD, database: 'n8n'});"
    "c.connect().then(() => c.query('DELETE FROM held')).then(() => c.end())"
)
BEGINS = f'node -e "{TAKES}"; exec /docker-entrypoint.sh'
BREAKS = [
    "ENV N8N_ENDPOINT_WEBHOOK=elsewhere",
    f"ENTRYPOINT {json.dumps(['tini', '--', 'sh', '-c', BEGINS])}",
]


def updated(backed: Backed, inventory: Path, image: str) -> Run:
    """The command, which asks nothing."""
    began = time.monotonic()
    tag = image.partition(":")[2]
    run = backed.module("tasks.commands.update", inventory, SMARTEROS_SERVICE="n8n", TO=tag, YES="1")
    print(f"update to {tag}: exit code {run.code} after {time.monotonic() - began:.0f} s")
    return run


def test_an_update_that_fails_ends_on_the_image_and_the_rows_of_before(
    backed: Backed, inventory: Path
) -> None:
    host = backed.host
    publish(host.lab, OLD, GOOD, ["LABEL later=yes"])
    publish(host.lab, OLD, BAD, BREAKS)
    if not host.sh(PROVEN):
        refused = updated(backed, inventory, BAD)
        assert "no restore of n8n database was proven yet" in refused.output
        assert (refused.code, refused.changes) == (1, [])
        assert backed.run(DRILL, {"SMARTEROS_RESTORE": "n8n"}).code == 0
    lock = inventory.with_suffix(".lock.json")

    run = updated(backed, inventory, GOOD)
    assert run.code == 0, run.output[-6000:]
    pin = json.loads(lock.read_text())["images"]
    assert list(pin) == [OLD]
    good = f"n8nio/n8n:{pin[OLD]} healthy\n"
    assert (host.sh(RUNS), good.startswith(f"{GOOD}@sha256:")) == (good, True)

    sql(host, "CREATE TABLE held (n int); ALTER TABLE held OWNER TO n8n")
    sql(host, "INSERT INTO held VALUES (1)")
    before = lock.read_text()
    run = updated(backed, inventory, BAD)
    assert run.code == 1
    assert "does not do what its users want" in run.output
    assert "update: n8n runs 2.30.98 again, as before, and is not updated" in run.lines
    assert (host.sh(RUNS), sql(host, "SELECT n FROM held")) == (good, "1")
    assert lock.read_text() == before
    assert not update_note.at(inventory).exists()
    kept = sql(host, "SELECT max(datname) FROM pg_database WHERE datname LIKE 'n8n_before_%'")
    assert sql(host, "SELECT count(*) FROM held", kept) == "0"  # it had been at it

    sql(host, "DROP TABLE held")
    assert backed.run().code == 0
    assert host.sh(RUNS) == f"{OLD} healthy\n"
    host.sh(f"docker rmi --force {good.split(maxsplit=1)[0]}")

"""Losses: at any moment the bucket has all that was acknowledged until a minute before, and what it had before it was wiped."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from random import SystemRandom

import pytest
from botocore.exceptions import ClientError

from tasks.clients.bucket import Bucket
from tests.e2e.backed import Backed
from tests.e2e.deployment import Deployment
from tests.e2e.elsewhere import Elsewhere
from tests.lab import addresses, s3

MOMENTS = 5
NEWEST = "SELECT coalesce(extract(epoch FROM max(at)), 0) FROM acknowledged"
# One row each tenth of a second; what was acknowledged is written down after that.
WRITER = """
cd /tmp; rm -f written stop
while [ ! -e stop ]; do
    echo "INSERT INTO acknowledged VALUES (clock_timestamp()) RETURNING extract(epoch FROM at);"; sleep 0.1
done | docker exec -i postgres psql -qAtX -U postgres -d postgres >written
"""
NOW, REWIND = "tasks.commands.backup.run", "tasks.commands.bucket_rewind.run"


@pytest.fixture(scope="module")
def elsewhere(backed: Backed) -> Iterator[Elsewhere]:
    """With all parts in the bucket, and rows that come all the time."""
    host = backed.host
    host.sh(
        'docker exec postgres psql -qX -U postgres -d postgres -c "CREATE TABLE acknowledged (at timestamptz)"'
    )
    host.sh(f"cat >/tmp/writer <<'END'\n{WRITER}\nEND\nsetsid bash /tmp/writer >/dev/null 2>&1 </dev/null &")
    made = backed.run(NOW)
    assert made.code == 0, made.output[-6000:]
    found = Elsewhere.of(backed)
    yield found
    host.sh(
        "touch /tmp/stop; sleep 0.3; docker exec postgres psql -qX -U postgres -d postgres -c 'DROP TABLE acknowledged'"
    )
    found.forget()


@contextmanager
def cut_off(host: Deployment) -> Iterator[float]:
    """From the bucket's side the host is gone: nothing more arrives. The newest row that was acknowledged by then."""
    address = addresses.address(host.lab.description.subnet, addresses.S3)
    said = host.sh(f"ip route add blackhole {address}/32 && tail -n 1 /tmp/written")
    try:
        yield float(said)
    finally:
        host.sh(f"ip route del blackhole {address}/32")


def test_a_host_that_is_lost_at_any_moment_loses_less_than_a_minute(
    backed: Backed, elsewhere: Elsewhere
) -> None:
    chance, lost = SystemRandom(), []
    for _ in range(MOMENTS):
        time.sleep(chance.uniform(5, 40))
        with cut_off(backed.host) as acknowledged:
            lost.append(acknowledged - float(elsewhere.ask(NEWEST)))
    print("seconds lost:", ", ".join(f"{each:.1f}" for each in lost))
    # Something is always on its way: a copy that has all of it was not of that moment.
    assert min(lost) > 0
    assert max(lost) <= 60


def test_what_an_attacker_wipes_with_the_hosts_key_comes_back(
    backed: Backed, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = backed.kit()
    wanted = backed.host.sh("tail -n 1 /tmp/written").strip()
    time.sleep(45)  # it is in the bucket
    before = datetime.now(UTC)
    time.sleep(1.1)
    with s3.reached(addresses.address(backed.host.lab.description.subnet, addresses.S3)):
        stolen = Bucket(kit.backup, kit.access_key, kit.secret_key)
        refused = _wiped(stolen)
        assert refused > 0
        # What the host sends meanwhile does not count.
        assert "files/" not in stolen.folders()
    for to, why in (
        ("2020-01-01 00:00Z", "is earlier than anything in"),
        ("2999-01-01 00:00Z", "has not come yet"),
    ):
        monkeypatch.setenv("TO", to)
        late = backed.run(REWIND)
        assert (late.code, late.changes) == (1, []), late.output[-3000:]
        assert why in late.output
    assert backed.host.sh("systemctl is-active smarteros-heartbeat.timer") == "active\n"
    monkeypatch.setenv("TO", before.isoformat())
    run = backed.run(REWIND)
    assert run.code == 0, run.output[-6000:]
    print([line for line in run.lines if "come back as they were" in line])
    assert "what this machine alone knows is in the bucket as it is now" in run.output
    # Also what was sent after that is good: all of Postgres' files went again.
    assert float(elsewhere.ask(NEWEST)) > float(wanted)
    now = backed.run(NOW)
    assert now.code == 0, now.output[-6000:]


def _wiped(stolen: Bucket) -> int:
    """All that can be seen goes, and of each the versions, as far as the server lets it; how many it refused."""
    refused = 0
    for page in stolen.s3.get_paginator("list_objects_v2").paginate(Bucket=stolen.place.bucket):
        for item in page.get("Contents", []):
            stolen.call("delete_object", Key=item["Key"])
    for page in stolen.s3.get_paginator("list_object_versions").paginate(Bucket=stolen.place.bucket):
        for item in page.get("Versions", [])[:50]:
            try:
                stolen.call("delete_object", Key=item["Key"], VersionId=item["VersionId"])
            except ClientError:
                refused += 1
            else:
                raise AssertionError(f"the host's key deleted a version of {item['Key']}")
    return refused

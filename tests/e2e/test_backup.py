"""Backup: what is written on a host of the lab is in a real bucket within its time, and can be read from there."""

import re
import time
from pathlib import PurePath

from tests.e2e.backed import Backed, bucket_away
from tests.e2e.canary import ALLOWED, SEARCHED, shown, watched
from tests.e2e.deployment import Deployment

NOW, LIST, STATUS = (f"tasks.commands.{name}.run" for name in ("backup", "backups", "status"))
# Begun at a moment of its own choosing: what is asked of the bucket is asked by the same one-offs.
RESTIC = (
    "docker compose -f /opt/smarteros/current/dkcompose/backup-deploy.yaml run --rm --no-TTY --no-deps --name asked "
    "backup-list"
)


def until(what: str, seconds: float, check: object) -> float:
    """Seconds that it took."""
    assert callable(check)
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < seconds, what
        time.sleep(0.5)
    return time.monotonic() - started


def sql(host: Deployment, statement: str) -> str:
    return host.sh(f'docker exec postgres psql -qAtX -U postgres -d postgres -c "{statement}"').strip()


def reach(host: Deployment) -> float:
    """Until when all that was written could be had from the bucket now, by the host's own count."""
    text = host.sh("cat /var/lib/smarteros/metrics/wal.prom")
    found = re.search(r"archived_until_timestamp_seconds ([\d.]+)", text)
    assert found, text
    return float(found[1])


def age(host: Deployment) -> float:
    """How long ago that was."""
    return float(host.sh("date +%s")) - reach(host)


def test_everything_is_in_the_bucket_and_comes_there_in_time(backed: Backed) -> None:
    host = backed.host
    # One command, which reads back from there.
    now = backed.run(NOW)
    assert now.code == 0, now.output[-6000:]
    for line in (
        r"n8n\s+database, any second\s+20",
        r"n8n\s+dump \(\d",
        r"n8n\s+files \(\d",
        r"redis\s+file \(\d",
        r"vault\s+snapshot \(\d",
    ):
        assert re.search(line, now.output), now.output[-4000:]
    again = backed.run()
    again.unchanged()
    commands = len(re.findall(r"^\S* *>>> ", again.output, re.MULTILINE))
    assert commands <= 13
    status = backed.run(STATUS)
    assert status.code == 0, status.output[-4000:]
    assert re.search(r"backup: log \d+ s ago, files \d+ s ago", status.output)
    _a_file_is_there_within_a_minute(host)
    _the_log_is_never_older_than_a_minute(host)
    _an_outage_is_said_and_caught_up(backed)
    _nothing_shows_a_key(backed)


def _a_file_is_there_within_a_minute(host: Deployment) -> None:
    folder = host.sh("docker volume inspect --format '{{.Mountpoint}}' n8n_data").strip()
    host.sh(f"echo precious >{folder}/precious")
    took = until(
        "a new file is in the bucket",
        90,
        lambda: "precious" in host.sh(f"{RESTIC} find --no-lock --json precious 2>/dev/null", check=False),
    )
    print(f"a new file was in the bucket after {took:.0f} s")
    text = host.sh(f"{RESTIC} dump --no-lock --tag service=n8n latest /state/n8n_data/precious 2>/dev/null")
    assert text == "precious\n"


def _the_log_is_never_older_than_a_minute(host: Deployment) -> None:
    sql(host, "CREATE TABLE counter (n bigint)")
    ages = []
    for number in range(40):
        sql(host, f"INSERT INTO counter VALUES ({number})")
        ages.append(age(host))
        time.sleep(1)
    print(f"age of the log in the bucket: at most {max(ages):.0f} s")
    # The note is as old as the last heartbeat, which saw what had left by then.
    assert max(ages) <= 60 + 30


def _an_outage_is_said_and_caught_up(backed: Backed) -> None:
    host = backed.host
    with bucket_away(host):
        until("the log is older than two minutes", 300, lambda: age(host) > 125)
        assert sql(host, "INSERT INTO counter VALUES (100) RETURNING n") == "100"
        status = backed.run(STATUS)
        assert status.code == 1
        assert "backup: what was written to Postgres in the last 2 min is not in the bucket" in status.output
    took = until("it is caught up", 180, lambda: age(host) < 60)
    print(f"caught up after {took:.0f} s")
    host.sh("systemctl start smarteros-backup-check.service", timeout=600)  # without a gap


def _nothing_shows_a_key(backed: Backed) -> None:
    """Not while all is copied away, and not in what stays: files, layers of images, logs, metrics."""
    host, keys = backed.host, backed.kit().keys
    hidden = {"bucket": backed.kit().secret_key, "restic": keys.restic, "pgBackRest": keys.pgbackrest}
    with watched(host) as seen:
        now = backed.run(NOW)
    assert now.code == 0, now.output[-6000:]
    assert "pgbackrest" in seen[0]  # it did look
    logs = (
        "for each in $(docker ps -aq); do docker logs $each 2>&1; done; journalctl --no-pager --all -o export"
    )
    assert shown(hidden, seen[0] + now.output + host.sh(logs, timeout=120)) == []
    grep = f"grep -rlaFs -D skip --exclude-dir=volumes -f - {SEARCHED} /var/lib/smarteros"
    found = host.host.run(grep, input="\n".join(hidden.values()), check=False).stdout.split()
    assert {path for path in found if path.startswith("/vault/")} == {
        f"/vault/secrets/{name}.env" for name in ("backup", "postgres")
    }
    assert [path for path in found if not any(PurePath(path).match(pattern) for pattern in ALLOWED)] == []

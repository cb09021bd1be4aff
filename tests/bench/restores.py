"""What takes too long for a test: a service with 1 GB of rows to a point in time, ten minutes without the bucket, and a log that
outgrows its bound meanwhile. ``python -m tests.bench.restores --check``, on a host of its own; about half an hour.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.e2e.backed import Backed, bucket_away, deployed
from tests.e2e.deployment import Deployment
from tests.lab import smarteros
from tests.lab.lab import Lab

MOST_SECONDS, MOST_LOST, MOST_WAL_GB = 120, 60, 6.0
NOW, RESTORE, STATUS = (f"tasks.commands.{name}.run" for name in ("backup", "restore", "status"))
# Ten rows a second, each acknowledged before it is noted.
WRITER = r"""
rm -f /tmp/stop; n=0
while [ ! -e /tmp/stop ]; do
    echo "INSERT INTO written VALUES ($((n += 1)), clock_timestamp()) RETURNING n;"
    sleep 0.1
done | docker exec -i postgres psql -qAtX -U postgres -d n8n >/tmp/written 2>/tmp/refused
"""


def main() -> int:
    """Prints the figures; with ``--check``, exit code 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", default="bench", help="a lab of this name, made unless it is there")
    parser.add_argument("--minutes", type=float, default=10, help="without the bucket")
    parser.add_argument("--wal-gb", type=float, default=6, help="written while the bucket is away once more")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a limit is passed")
    given = parser.parse_args()
    lab = Lab(given.lab)
    smarteros.prepare(lab, ["restores"])
    with tempfile.TemporaryDirectory() as folder:
        backed = deployed(Deployment(lab, lab.host("restores")), Path(folder) / "kit.json")
        good = [gigabyte(backed), outage(backed, given.minutes * 60), bounded(backed, given.wal_gb)]
    return 1 if given.check and not all(good) else 0


def sql(host: Deployment, statement: str, database: str = "n8n") -> str:
    """As the superuser."""
    psql = "docker exec -i postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d"
    return host.host.run(f"{psql} {database}", input=statement).stdout.strip()


def gigabyte(backed: Backed) -> bool:
    """What was dropped is back in time."""
    host = backed.host
    row = "(SELECT string_agg(md5(n || ' ' || m), '') FROM generate_series(1, 30) AS m)"
    sql(host, f"CREATE TABLE much AS SELECT n, {row} AS text FROM generate_series(1, 1000000) AS n")
    size = int(sql(host, "SELECT pg_database_size('n8n')")) / 1e9
    made = backed.run(NOW)
    assert made.code == 0, made.output[-4000:]
    rows, moment = sql(host, "SELECT count(*) || ' ' || clock_timestamp() FROM much").split(" ", 1)
    time.sleep(0.1)
    sql(host, "DROP TABLE much")
    began = time.monotonic()
    run = backed.run(RESTORE, {"SMARTEROS_RESTORE": "n8n", "TO": moment})
    took = time.monotonic() - began
    assert run.code == 0, run.output[-4000:]
    assert sql(host, "SELECT count(*) FROM much") == rows
    sql(host, "DROP TABLE much")
    print(
        f"n8n with {size:.2f} GB was as it had been after {took:.0f} s (at most {MOST_SECONDS})", flush=True
    )
    return took <= MOST_SECONDS


def archived(host: Deployment) -> float:
    """Until when all that was written is in the bucket."""
    note = "/var/lib/smarteros/metrics/wal.prom"
    return float(host.sh(f"sed -n 's/^smarteros_wal_archived_until_timestamp_seconds //p' {note}"))


def wal(host: Deployment) -> float:
    """GB of what waits, and of what Postgres keeps in any case."""
    return int(sql(host, "SELECT sum(size) FROM pg_ls_waldir()")) / 1e9


def outage(backed: Backed, seconds: float) -> bool:
    """Every row that was acknowledged is there, during and afterwards, and in the bucket once it is back."""
    host = backed.host
    sql(host, "DROP TABLE IF EXISTS written; CREATE TABLE written (n bigint, at timestamptz)")
    host.host.run("cat >/tmp/writer; setsid bash /tmp/writer >/dev/null 2>&1 </dev/null &", input=WRITER)
    try:
        with bucket_away(host):
            most, until = 0.0, time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(10)
                most = max(most, wal(host))
            told = backed.run(STATUS)
        began, back = time.monotonic(), float(host.sh("date +%s"))
        while archived(host) < back:
            assert time.monotonic() < began + 300, "it is not caught up after five minutes"
            time.sleep(1)
        took = time.monotonic() - began
    finally:
        host.sh("touch /tmp/stop; sleep 1")
    rows = sql(host, "SELECT count(*), max(n) FROM written").split("|")
    noted = host.sh("wc -l </tmp/written; wc -c </tmp/refused").split()
    print(
        f"{seconds / 60:.0f} min without the bucket: {rows[0]} rows written, {noted[0]} acknowledged; at most {most:.2f} GB of log; "
        f"caught up after {took:.0f} s; status said {told.code}",
        flush=True,
    )
    host.sh("systemctl start smarteros-backup-check.service", timeout=600)  # without a gap
    return (rows[0], noted[1], told.code) == (rows[1], "0", 1) and rows[0] == noted[0]


def bounded(backed: Backed, size: float) -> bool:
    """More than is kept for a bucket that is away: Postgres goes on, its disk does not fill, and a full backup follows."""
    host = backed.host
    done = threading.Event()
    most: list[float] = []

    def looked() -> None:
        while not done.wait(5):
            most.append(wal(host))

    looking = threading.Thread(target=looked)
    with bucket_away(host):
        looking.start()
        try:
            for _ in range(round(size * 5)):
                sql(host, "CREATE TABLE IF NOT EXISTS filler (text text)")
                sql(
                    host,
                    "INSERT INTO filler SELECT repeat(md5(n::text), 60) FROM generate_series(1, 100000) AS n",
                )
                sql(host, "TRUNCATE filler")
            sql(host, "CHECKPOINT")
            time.sleep(120)
        finally:
            done.set()
            looking.join()
        left = wal(host)
    began = time.monotonic()
    while host.host.run("systemctl start smarteros-backup-check.service", check=False).returncode:
        assert time.monotonic() < began + 900, "no full backup has come after a gap"
        time.sleep(10)
    took = time.monotonic() - began
    print(
        f"{size:.0f} GB of log without the bucket: at most {max(most):.1f} GB of it were kept (at most {MOST_WAL_GB}), {left:.1f} then; "
        f"backups were well again after {took:.0f} s",
        flush=True,
    )
    return max(most) <= MOST_WAL_GB


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr}")

"""Bucket: what opens a host is in a real bucket before anything hangs on it, and brings the host back on another machine."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tasks.clients import kit as kits
from tests.e2e.backed import BUCKET, SERVICES, Backed
from tests.e2e.deployment import Deployment
from tests.e2e.recovering import Operator
from tests.lab import s3, smarteros
from tests.lab.lab import Lab

CHECK, NOW = (f"tasks.commands.{name}.run" for name in ("kit_check", "backup"))
CERTIFICATES = "docker exec caddy-proxy sh -c 'cd /data/caddy/certificates && find . -name *.crt | sort | xargs sha256sum'"


@pytest.fixture
def fresh(bare: Deployment, tmp_path: Path) -> Iterator[Backed]:
    """A bare host with the lab's domains, its S3 server, and a place for the kit."""
    bare.lab.point(smarteros.domains(), bare.host)
    yield Backed(bare, bare.lab.bucket(bare.host.name), tmp_path / "kit.json", SERVICES)
    bare.lab.point(smarteros.domains(), "lab-1")


@pytest.fixture
def other(lab: Lab) -> Iterator[Deployment]:
    """The VPS that takes its place."""
    yield Deployment(lab, lab.add_host("other"))
    lab.remove_host("other")


def test_a_bare_host_is_deployed_with_backups_and_comes_back_elsewhere(
    fresh: Backed, other: Deployment, tmp_path: Path
) -> None:
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
    assert (
        "has no recovery/bare/state yet: `make deploy INVENTORY=inventories/lab.py` stores it" in early.output
    )
    first = fresh.run()
    assert first.code == 0, first.output[-6000:]
    assert "nobody has proven yet that the kit opens these backups" in first.output
    checked = fresh.run(CHECK)
    assert checked.code == 0, checked.output[-3000:]
    assert "the sealed state opens" in checked.output
    again = fresh.run()
    assert (again.code, again.changes) == (0, []), again.changes
    assert "nobody has proven yet" not in again.output
    _works(fresh.host)
    now = fresh.run(NOW)
    assert now.code == 0, now.output[-3000:]
    opened = fresh.run(CHECK)
    assert "restic's repository (files, dumps, Vault) opens" in opened.output, opened.output[-3000:]
    assert "pgBackRest's archive (databases) opens" in opened.output, opened.output[-3000:]
    shown = "".join(run.output for run in (refused, made, early, first, checked, again, now, opened))
    shown += _comes_back(fresh, other, tmp_path)
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


def sql(host: Deployment, statement: str) -> str:
    return host.sh(f'docker exec postgres psql -qAtX -U postgres -d n8n -c "{statement}"').strip()


def redis(host: Deployment, command: str) -> str:
    return host.sh(f"docker exec redis sh -c 'REDISCLI_AUTH=\"$REDIS_PASSWORD\" redis-cli {command}'").strip()


MOUNT = "$(docker volume inspect --format '{{.Mountpoint}}' n8n_data)"


def _works(host: Deployment) -> None:
    """It has something to lose."""
    sql(host, "CREATE TABLE mine AS SELECT 1 AS n")
    host.sh(f"echo precious >{MOUNT}/precious; chown 1000:1000 {MOUNT}/precious")
    redis(host, "SET mine precious")


def _comes_back(fresh: Backed, other: Deployment, folder: Path) -> str:
    """All that is said meanwhile."""
    old = fresh.host
    operator = Operator(folder / "home", fresh)
    sql(old, "INSERT INTO mine VALUES (2)")
    moment = sql(old, "SELECT clock_timestamp()")
    sql(old, "INSERT INTO mine VALUES (3)")
    old.sh(f"echo later >{MOUNT}/precious")
    redis(old, "SET mine later")
    secrets, certificates = old.sh("sha256sum /vault/secrets/*.env"), old.sh(CERTIFICATES)
    assert certificates
    _refused(fresh, other, operator, folder)
    time.sleep(40)  # the last row and the file are there by then
    old.host.container().kill()
    time.sleep(125)  # and nobody writes
    # The state of the machine that deployed it is lost as well.
    old.lab.point(smarteros.domains(), other.host)
    began = time.monotonic()
    run = operator.recover(other, TO=moment)
    took = time.monotonic() - began
    print(f"recovered after {took:.0f} s")
    assert run.code == 0, run.output[-8000:]
    assert took <= 900
    assert sql(other, "SELECT array_agg(n) FROM mine") == "{1,2}"
    assert other.sh(f"cat {MOUNT}/precious; stat -c %u:%g {MOUNT}/precious").split() == [
        "precious",
        "1000:1000",
    ]
    assert redis(other, "GET mine") == "precious"
    assert (other.sh("sha256sum /vault/secrets/*.env"), other.sh(CERTIFICATES)) == (secrets, certificates)
    assert "but for Vault, which is as its newest snapshot has it" in run.output
    assert "recovered: files of n8n_data: " in run.output
    assert (
        f"next: let the domains lead to {other.host.address}, and the old host never start again"
        in run.output
    )
    assert "next: `make deploy INVENTORY=inventories/recovered.py` is this host's from now on" in run.output
    # Its log leaves at once, as one does after a checkpoint alone.
    sql(other, "INSERT INTO mine VALUES (4)")
    wrote = float(other.sh("date +%s"))
    _until_it_is_there(other, wrote)
    return run.output + _comes_back_once_more(operator, other)


def _comes_back_once_more(operator: Operator, host: Deployment) -> str:
    """To the newest, from what was written since: of what it had after that time nothing is in the way."""
    host.sh(
        "docker rm --force postgres; docker volume rm postgres_data; cd /var/lib/smarteros; mkdir recover; touch recover/begin recover/vault recover/files recover/redis"
    )
    began = time.monotonic()
    run = operator.recover(host)
    print(f"and once more after {time.monotonic() - began:.0f} s")
    assert run.code == 0, run.output[-8000:]
    assert sql(host, "SELECT array_agg(n) FROM mine") == "{1,2,4}"
    again = operator.pyinfra("deploy.py")
    assert (again.code, again.changes) == (0, []), again.output[-6000:]
    host.sh("systemctl start smarteros-backup-check.service", timeout=300)
    status = operator.pyinfra("tasks.commands.status.run")
    assert status.code == 0, status.output[-4000:]
    # Its users log in as before.
    check = operator.pyinfra("tasks.commands.check.run")
    assert check.code == 0, check.output[-4000:]
    return run.output + again.output + status.output + check.output


def _until_it_is_there(host: Deployment, wrote: float) -> None:
    deadline = time.monotonic() + 60
    # Nothing has been noted yet where no heartbeat's segment has left.
    note = "sed -n 's/^smarteros_wal_archived_until_timestamp_seconds //p' /var/lib/smarteros/metrics/wal.prom 2>/dev/null || true"
    while float(host.sh(note) or 0) < wrote:
        assert time.monotonic() < deadline, (
            "what was written after a recovery is not in the bucket after a minute"
        )
        time.sleep(1)


def _refused(fresh: Backed, other: Deployment, operator: Operator, folder: Path) -> None:
    """Before anything has changed, on either side."""
    kit, wrong = fresh.kit(), folder / "wrong.json"
    elsewhere = kits.new(kit.backup, kit.access_key, kit.secret_key)
    wrong.write_text(json.dumps(asdict(elsewhere)))
    empty = folder / "empty.json"
    empty.write_text(json.dumps(asdict(replace(kit, bucket="nothing-there"))))
    for run, said in (
        (operator.recover(other), "the old host may still live"),
        (operator.recover(other, wrong, FORCE="1"), "the sealed state does not open with this kit"),
        (operator.recover(other, empty, FORCE="1"), "nothing-there"),
        (operator.recover(fresh.host, FORCE="1"), "holds data already"),
        (
            operator.recover(other, TO="2999-01-01 00:00Z"),
            "is later than the newest: there is any second from 20",
        ),
    ):
        assert (run.code, run.changes) == (1, []), run.output[-3000:]
        assert said in run.output
    assert other.sh("ls /var/lib/smarteros /opt/smarteros 2>/dev/null || true") == ""

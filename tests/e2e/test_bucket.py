"""Bucket: what opens a host is in a real bucket before anything hangs on it, and brings the host back on another machine."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import pytest

from tasks.clients import kit as kits
from tests.e2e.backed import CHECK, Backed
from tests.e2e.deployment import Deployment, Run
from tests.e2e.recovering import Operator
from tests.e2e.test_faults import SEED
from tests.e2e.test_restore_kills import ONE_IN
from tests.e2e.well import not_well, wait_for
from tests.faults import recovery
from tests.faults.script import Script
from tests.lab import s3, smarteros
from tests.lab.lab import Lab

NOW = "tasks.commands.backup.run"
CERTIFICATES = "docker exec caddy-proxy sh -c 'cd /data/caddy/certificates && find . -name *.crt | sort | xargs sha256sum'"


@pytest.fixture
def other(lab: Lab) -> Iterator[Deployment]:
    """The VPS that takes its place."""
    yield Deployment(lab, lab.add_host("other"))
    lab.point(smarteros.domains(), "lab-1")
    lab.remove_host("other")


def test_a_bare_host_is_deployed_with_backups(backed: Backed) -> None:
    refused, made, early, first, checked, again = backed.first
    assert (refused.code, refused.changes) == (1, []), refused.output[-3000:]
    assert (
        "has what opens the bucket: `make bucket KIT=… INVENTORY=inventories/lab.py` sets it up"
        in refused.output
    )
    assert made.code == 0, made.output[-3000:]
    assert "it was refused what would destroy backups" in made.output
    assert early.code == 1
    assert (
        "has no recovery/backed/state yet: `make deploy INVENTORY=inventories/lab.py` stores it"
        in early.output
    )
    assert first.code == 0, first.output[-6000:]
    assert "nobody has proven yet that the kit opens these backups" in first.output
    assert checked.code == 0, checked.output[-3000:]
    assert "the sealed state opens" in checked.output
    again.unchanged()
    assert "nobody has proven yet" not in again.output
    _hidden(backed, *backed.first)


def test_it_comes_back_elsewhere(backed: Backed, other: Deployment, tmp_path: Path) -> None:
    """The last one of its host, which ends here, with unseal keys that have changed since it was deployed."""
    _rotated(backed)
    _works(backed.host)
    now = backed.run(NOW)
    assert now.code == 0, now.output[-3000:]
    opened = backed.run(CHECK)
    assert "restic's repository (files, dumps, Vault) opens" in opened.output, opened.output[-3000:]
    assert "pgBackRest's archive (databases) opens" in opened.output, opened.output[-3000:]
    _hidden(backed, now, opened, *_comes_back(backed, other, tmp_path))


def _rotated(backed: Backed) -> None:
    """Vault's keys and the deployer's credential are others, and nothing else is."""
    folder = backed.host.lab.state.folder / "state" / backed.host.host.name
    before = json.loads((folder / "vault.json").read_text())
    run = backed.run("tasks.commands.rotate.run", {"SMARTEROS_SERVICE": "vault"})
    assert run.code == 0, run.output[-6000:]
    after = json.loads((folder / "vault.json").read_text())
    assert (after["role_id"], after["other_keys"], after["other_secret_id"]) == (before["role_id"], [], "")
    assert not {*after["keys"], after["secret_id"]} & {*before["keys"], before["secret_id"]}
    assert [key for key in (*before["keys"], before["secret_id"]) if key in run.output] == []
    again = backed.run()
    again.unchanged()
    _hidden(backed, run, again)


def _hidden(backed: Backed, *runs: Run) -> None:
    """None of what opens the bucket or Vault shows in them."""
    shown, kit = "".join(run.output for run in runs), backed.kit()
    keys = kit.keys
    opens = [kit.secret_key, kit.recovery_key, keys.restic, keys.pgbackrest, keys.private.hex(), s3.ADMIN[1]]
    folder = backed.host.lab.state.folder / "state" / backed.host.host.name
    opens += json.loads((folder / "vault.json").read_text())["keys"]
    assert [number for number, secret in enumerate(opens) if secret in shown] == []


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


def _comes_back(backed: Backed, other: Deployment, folder: Path) -> list[Run]:
    """All that is run meanwhile."""
    old = backed.host
    operator = Operator(folder / "home", backed)
    sql(old, "INSERT INTO mine VALUES (2)")
    moment = sql(old, "SELECT clock_timestamp()")
    sql(old, "INSERT INTO mine VALUES (3)")
    old.sh(f"echo later >{MOUNT}/precious")
    redis(old, "SET mine later")
    secrets, certificates = old.sh("sha256sum /vault/secrets/*.env"), old.sh(CERTIFICATES)
    assert certificates
    _refused(operator.recover(other), "the old host may still live")
    _refused(operator.recover(old, FORCE="1"), "holds data already")
    _until_it_is_there(old, float(old.sh("date +%s")))
    # Twice: one that was under way already may have passed the file by.
    old.sh("for each in 1 2; do systemctl start smarteros-backup-files.service; done", timeout=300)
    old.host.container().kill()
    silent = time.monotonic() + 125  # and nobody writes
    _refused_with_another_kit(backed, other, operator, folder)
    time.sleep(max(0, silent - time.monotonic()))
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
    return [run, *_comes_back_once_more(operator, other)]


def _comes_back_once_more(operator: Operator, host: Deployment) -> list[Run]:
    """To the newest, from what was written since, and killed here and there (`make test-faults` does so everywhere): of what it had
    after that time nothing is in the way.
    """
    host.sh(
        "docker rm --force postgres; docker volume rm postgres_data; cd /var/lib/smarteros; mkdir recover; touch recover/begin recover/vault recover/files recover/redis"
    )
    script = Script(host, "", Random(SEED), 2 * ONE_IN)
    script.follow()
    print(f"SMARTEROS_FAULT_SEED={SEED}")
    began = time.monotonic()
    run = recovery.brought(operator, host, script)
    script.leave()
    print(f"and once more after {time.monotonic() - began:.0f} s, killed {len(script.killed)} times")
    assert sql(host, "SELECT array_agg(n) FROM mine") == "{1,2,4}"
    # n8n ran on while it had no database; on a slow machine that is long enough to be called unhealthy, until it is asked again.
    wait_for(lambda: not_well(host), {}, 600)
    again = operator.pyinfra("deploy.py")
    again.unchanged()
    # The heartbeat has missed the server that this test removed, and says so until its next one.
    host.sh("systemctl start smarteros-heartbeat.service", timeout=300)
    checked = "systemctl start smarteros-backup-check.service || journalctl -u smarteros-backup-check.service | tail -n 60"
    assert host.sh(checked, timeout=300) == ""
    status = operator.pyinfra("tasks.commands.status.run")
    assert status.code == 0, status.output[-4000:]
    # Its users log in as before.
    check = operator.pyinfra("tasks.commands.check.run")
    assert check.code == 0, check.output[-4000:]
    return [run, again, status, check]


def _until_it_is_there(host: Deployment, wrote: float) -> None:
    deadline = time.monotonic() + 60
    # Nothing has been noted yet where no heartbeat's segment has left.
    note = "sed -n 's/^smarteros_wal_archived_until_timestamp_seconds //p' /var/lib/smarteros/metrics/wal.prom 2>/dev/null || true"
    while float(host.sh(note) or 0) < wrote:
        assert time.monotonic() < deadline, (
            "what was written after a recovery is not in the bucket after a minute"
        )
        time.sleep(1)


def _refused(run: Run, said: str) -> None:
    """Before anything has changed."""
    assert (run.code, run.changes) == (1, []), run.output[-3000:]
    assert said in run.output


def _refused_with_another_kit(backed: Backed, other: Deployment, operator: Operator, folder: Path) -> None:
    """And to a time that has not come; on the host there is nothing afterwards."""
    kit, wrong = backed.kit(), folder / "wrong.json"
    elsewhere = kits.new(kit.backup, kit.access_key, kit.secret_key)
    wrong.write_text(json.dumps(asdict(elsewhere)))
    empty = folder / "empty.json"
    empty.write_text(json.dumps(asdict(replace(kit, bucket="nothing-there"))))
    _refused(operator.recover(other, wrong, FORCE="1"), "the sealed state does not open with this kit")
    _refused(operator.recover(other, empty, FORCE="1"), "nothing-there")
    late = operator.recover(other, TO="2999-01-01 00:00Z")
    _refused(late, "is later than the newest: there is any second from 20")
    assert other.sh("ls /var/lib/smarteros /opt/smarteros 2>/dev/null || true") == ""

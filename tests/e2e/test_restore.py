"""Restore: a table that was dropped is back, others' visitors notice nothing, it is undone, a drill leaves nothing."""

import re
import time

import pytest

from tasks.rendering import restore_files
from tests.e2e.backed import Backed
from tests.e2e.deployment import Deployment, Run
from tests.e2e.test_backup import reach, until

NOW, RESTORE, UNDO, DRILL, STATUS = (
    f"tasks.commands.{name}.run" for name in ("backup", "restore", "restore_undo", "drill", "status")
)
# Who asks the service itself waits; others, and who writes to the same server, notice nothing.
MEANWHILE = """
cd /tmp; rm -f over ended visits
asked() {
    exec 3<>/dev/tcp/127.0.0.1/$2 && printf "GET $3 HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" >&3 && read -t 120 -r _ code _ <&3
    echo "$1 $code"
}
while [ ! -e over ]; do
    asked n8n 5678 /healthz
    asked vault 8200 /v1/sys/health
    docker exec postgres psql -qX -U postgres -d postgres -c "INSERT INTO other VALUES (1)" && echo written || echo not written
done >visits
touch ended
"""
LEFT = """
docker ps -a --format '{{.Names}}' | grep restored- || true
ls -d /var/lib/smarteros/restore/postgres /var/lib/smarteros/restore/files 2>/dev/null || true
docker volume ls --quiet | grep -E 'restored|drill' || true
docker network ls --format '{{.Name}}' | grep -E 'restore|drill' | grep -vx drill-net || true
docker exec postgres psql -qAtX -U postgres -d postgres -c "SELECT datname FROM pg_database WHERE datname LIKE '%\\_new'"
"""


def sql(host: Deployment, statement: str, database: str = "n8n") -> str:
    return host.sh(f'docker exec postgres psql -qAtX -U postgres -d {database} -c "{statement}"').strip()


def note(host: Deployment, text: str = "") -> str:
    """The file in n8n's volume, written anew where there is a text."""
    path = host.sh("docker volume inspect --format '{{.Mountpoint}}' n8n_data").strip() + "/note"
    return host.sh(f"echo '{text}' >{path}; cat {path}" if text else f"cat {path}").strip()


def restored(backed: Backed, monkeypatch: pytest.MonkeyPatch, to: str, deploy: str = RESTORE) -> Run:
    monkeypatch.setenv("SMARTEROS_RESTORE", "n8n")
    monkeypatch.setenv("TO", to)
    return backed.run(deploy)


def test_a_service_comes_back_as_it_was(backed: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    host = backed.host
    sql(host, "CREATE TABLE other (n int)", "postgres")
    sql(host, "CREATE TABLE precious AS SELECT generate_series(1, 1000) AS n")
    note(host, "then")
    assert backed.run(NOW).code == 0
    sql(host, "INSERT INTO precious VALUES (1001)")
    moment = sql(host, "SELECT clock_timestamp()")
    time.sleep(0.1)
    sql(host, "DROP TABLE precious")
    note(host, "now")
    for to, why in (
        ("2999-01-01 00:00Z", "has not come yet"),
        ("2020-01-01 00:00Z", "is earlier than the oldest: there is any second from 20"),
        ("2026-11-26 10:00", "names no zone"),
    ):
        refused = restored(backed, monkeypatch, to)
        assert (refused.code, refused.changes) == (1, []), refused.output[-3000:]
        assert why in refused.output
    host.sh(f"cat >/tmp/meanwhile <<'END'\n{MEANWHILE}\nEND\nsetsid bash /tmp/meanwhile >/dev/null 2>&1 &")
    began = time.monotonic()
    run = restored(backed, monkeypatch, moment)
    print(f"restored after {time.monotonic() - began:.0f} s")
    assert run.code == 0, run.output[-6000:]
    host.sh("touch /tmp/over; while [ ! -e /tmp/ended ]; do sleep 0.1; done", timeout=120)
    visits = host.sh("sort /tmp/visits | uniq -c").split("\n")
    print("meanwhile", visits)
    assert {line.split(None, 1)[1] for line in filter(None, visits)} == {"n8n 200", "vault 200", "written"}
    assert "the last heartbeat in the copy is" in run.output
    assert (sql(host, "SELECT count(*) FROM precious"), note(host)) == ("1001", "then")
    assert host.sh(LEFT) == ""
    # A host that is lost right after a restore loses no more than any other.
    wrote = float(sql(host, "SELECT extract(epoch FROM clock_timestamp())"))
    until("what is written after a restore is in the bucket", 60, lambda: reach(host) > wrote)
    again = backed.run()
    assert (again.code, again.changes) == (0, []), again.changes
    _it_is_undone(backed, monkeypatch)
    _a_drill_leaves_nothing(backed, monkeypatch)


def _it_is_undone(backed: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    host = backed.host
    for gone, word in (("t", "now"), ("f", "then")):
        run = restored(backed, monkeypatch, "", UNDO)
        assert run.code == 0, run.output[-6000:]
        assert (sql(host, "SELECT to_regclass('precious') IS NULL"), note(host)) == (gone, word)
    again = backed.run()
    assert (again.code, again.changes) == (0, []), again.changes


def _a_drill_leaves_nothing(backed: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    host = backed.host
    host.sh("systemctl start --no-block smarteros-drill.service")
    until("it runs", 120, lambda: "restored-postgres" in host.sh("docker ps --format '{{.Names}}'"))
    host.sh("systemctl kill --signal=KILL smarteros-drill.service", check=False)
    until("it is gone", 60, lambda: host.sh(LEFT) == "")
    assert backed.run(NOW).code == 0
    monkeypatch.setenv("SMARTEROS_RESTORE", "")
    run = backed.run(DRILL)
    assert run.code == 0, run.output[-6000:]
    assert host.sh(LEFT) == ""
    for part in ("database", "files", "dump"):
        assert f"n8n: {part} has come back whole" in run.output
    metrics = host.sh("cat /var/lib/smarteros/metrics/*.prom")
    for each in restore_files.PARTS:
        assert each.name == "kept" or f'last_success_timestamp_seconds{{part="{each.name}"}}' in metrics
    found = re.search(r"smarteros_restore_rpo_seconds ([\d.]+)", metrics)
    assert found, metrics
    print(f"a loss would have been one of {found[1]} s")
    assert float(found[1]) <= 60
    host.sh("systemctl start smarteros-drill.service", timeout=300)
    assert backed.run(STATUS).code == 0

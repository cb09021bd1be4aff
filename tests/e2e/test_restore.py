"""Restore: a table that was dropped is back, others' visitors notice nothing, and it is undone."""

import time

import pytest

from tests.e2e.backed import Backed
from tests.e2e.deployment import Deployment, Run
from tests.e2e.test_backup import reach, until

NOW, RESTORE, UNDO, DRILL = (
    f"tasks.commands.{name}.run" for name in ("backup", "restore", "restore_undo", "drill")
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


# What no dump of a database says, and what would end its restore: a role and a database that are gone since, one that is half dropped, extensions that were
# changed, a device.
ODD = """
docker exec -i postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d n8n <<'END'
CREATE ROLE reader; GRANT CONNECT ON DATABASE n8n TO reader; CREATE ROLE leaver;
ALTER DATABASE n8n SET work_mem = '7MB'; ALTER DATABASE n8n SET search_path = "$user", public; ALTER ROLE reader IN DATABASE n8n SET work_mem = '9MB';
ALTER ROLE postgres SET statement_timeout = '1s'; ALTER ROLE postgres SET default_transaction_read_only = on;
CREATE TABLE left_behind (name text); ALTER TABLE left_behind OWNER TO leaver;
CREATE EXTENSION unaccent; ALTER FUNCTION unaccent(text) IMMUTABLE; CREATE INDEX ON left_behind (unaccent(name));
CREATE SCHEMA "My ext"; CREATE EXTENSION pg_trgm SCHEMA "My ext"; ALTER FUNCTION "My ext".similarity_op(text, text) IMMUTABLE;
CREATE INDEX ON left_behind ("My ext".similarity_op(name, 'x')); ALTER FUNCTION "My ext".show_limit() SET work_mem = '8MB';
CREATE DATABASE "My n8n.v2" OWNER n8n ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE half OWNER n8n; UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half';
END
cd $(docker volume inspect --format '{{.Mountpoint}}' n8n_data)
mknod device c 1 3; truncate -s 2G sparse; printf x >"$(printf 'new\\nline \\377')"
"""
# Somebody who reads a database all the time, and comes back as soon as he is thrown out.
POOL = """
docker exec -d postgres bash -c 'for each in 1 2 3 4; do while [ ! -e /tmp/over ]; do psql -qX -U postgres -d n8n -c "SELECT pg_sleep(0.5)"; done & done; wait'
"""
ASKED = """
docker exec -i postgres psql -qAtX -F ' ' -U postgres -d n8n <<'END'
SELECT datname, pg_encoding_to_char(encoding), datcollate = 'C', datallowconn, has_database_privilege('reader', datname, 'CONNECT') FROM pg_database WHERE datname IN ('n8n', 'My n8n.v2') ORDER BY 1;
SELECT setrole::regrole, setting FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase, unnest(setconfig) setting WHERE datname = 'n8n' AND setting !~ '^smarteros' ORDER BY 1, 2;
SELECT relowner::regrole FROM pg_class WHERE relname = 'left_behind';
SELECT pronamespace::regnamespace, proname, provolatile, proconfig FROM pg_proc WHERE proname IN ('show_limit', 'similarity_op') OR proname = 'unaccent' AND pronargs = 1 ORDER BY 2;
SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1;
END
cd $(docker volume inspect --format '{{.Mountpoint}}' n8n_data)
stat -c '%F %s' device sparse new*; test $(du -sk sparse | cut -f 1) -lt 1000 && echo a gap
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
    again.unchanged()
    # As one leaves it that is cut short in the middle, where a deploy would make anew what is between two names.
    host.sh("echo 'to 2026-11-26 19:59:49+00' >/var/lib/smarteros/restore/n8n.journal")
    refused = backed.run()
    host.sh("rm /var/lib/smarteros/restore/n8n.journal")
    assert (refused.code, refused.changes) == (1, [])
    assert "a restore of n8n was cut short" in refused.output
    _it_is_undone(backed, monkeypatch)


def test_what_is_odd_comes_back_as_it_was_though_somebody_reads_it_all_the_time(
    backed: Backed, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = backed.host
    host.sh(ODD)
    try:
        was = host.sh(ASKED)
        assert backed.run(NOW).code == 0
        moment = sql(host, "SELECT clock_timestamp()")
        host.sh(
            "docker exec -e PGOPTIONS='-c default_transaction_read_only=off' postgres psql -qX -v ON_ERROR_STOP=1 -U postgres "
            "-d n8n -c 'DROP TABLE left_behind' -c 'DROP ROLE leaver' -c 'DROP DATABASE \"My n8n.v2\"'"
        )
        host.sh(POOL)
        time.sleep(35)
        run = restored(backed, monkeypatch, moment)
        assert run.code == 0, run.output[-6000:]
        assert "roles that are gone since were made anew, without a login: leaver" in run.output
        assert host.sh(ASKED) == was
        assert sql(host, "SELECT count(*) FROM pg_database WHERE datname ~ '^half'") == "0"
        monkeypatch.setenv("SMARTEROS_RESTORE", "n8n")
        drilled = backed.run(DRILL)
        assert drilled.code == 0, drilled.output[-6000:]
    finally:
        host.sh(
            "docker exec postgres touch /tmp/over; docker exec postgres psql -qX -U postgres -c 'SET default_transaction_read_only = off' -c 'ALTER ROLE postgres RESET ALL'"
        )
    unchanged = backed.run()
    assert unchanged.code == 0


def _it_is_undone(backed: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    host = backed.host
    for gone, word in (("t", "now"), ("f", "then")):
        run = restored(backed, monkeypatch, "", UNDO)
        assert run.code == 0, run.output[-6000:]
        assert (sql(host, "SELECT to_regclass('precious') IS NULL"), note(host)) == (gone, word)
    again = backed.run()
    again.unchanged()

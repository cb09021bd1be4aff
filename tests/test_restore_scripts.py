"""The scripts that bring a service back, as they are rendered: valid shell, and the proof of files run for real on some."""

import base64
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tasks.model.catalogue import Service
from tasks.rendering import render, restore_files
from tasks.services import load
from tests.samples import stack

BACKUP = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}
SETTINGS = stack(backup=BACKUP)
SCRIPTS = {
    path: text
    for path, text in render.tree(SETTINGS).items()
    if path.startswith("restore/") and path.endswith(".sh")
}


def test_there_are_none_where_nothing_is_backed_up() -> None:
    assert [path for path in render.tree(stack()) if path.startswith("restore/")] == []
    assert restore_files.parts(stack()) == ()
    assert restore_files.units(stack(), "/current") == {}


@pytest.mark.parametrize("path", SCRIPTS)
def test_they_are_valid(path: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=SCRIPTS[path], text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_what_is_everybodys_does_not_come_back_alone() -> None:
    found = [item.name for item in restore_files.restorable(SETTINGS, load(SETTINGS))]
    assert found == ["chatwoot", "botpress", "n8n", "odoo", "metabase", "dokploy", "caddy"]


def test_a_drill_opens_what_there_is_something_to_open_with() -> None:
    assert restore_files.whole(SETTINGS) == ("vault snapshot", "redis file")
    assert restore_files.whole(stack(backup=BACKUP, unseal_at_boot=False)) == ("redis file",)
    assert restore_files.whole(stack()) == ()
    few = ["vault", "postgres", "n8n", "vault-auth-validator", "caddy"]
    text = render.tree(stack(backup=BACKUP, services=few))["restore/engines.sh"]
    assert ("restored-vault" in text, "restored-redis" in text) == (True, False)


def test_the_units_are_those_that_the_timers_start() -> None:
    units = restore_files.units(SETTINGS, "/current")
    assert sorted(units) == [
        "smarteros-backup-kept.service",
        "smarteros-backup-kept.timer",
        "smarteros-drill-full.service",
        "smarteros-drill-full.timer",
        "smarteros-drill.service",
        "smarteros-drill.timer",
    ]
    assert "ExecStart=/bin/bash /current/restore/drill.sh light\n" in units["smarteros-drill.service"]
    assert "ExecStopPost=/bin/bash /current/restore/drill.sh end\n" in units["smarteros-drill.service"]
    assert "ExecStopPost" not in units["smarteros-backup-kept.service"]
    assert all(map(restore_files.is_ours, units))
    assert not restore_files.is_ours("smarteros-heartbeat.service")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One of them, on a host whose folders are below this one, and whose Docker answers nothing and notes what it is asked."""
    (folder / "docker").write_text(
        f'#!/bin/sh\necho "$*" | sed "s/.*-v name=//" >>{folder}/asked\n[ ! -p /dev/stdin ] || cat >/dev/null\n'
    )
    (folder / "docker").chmod(0o755)
    moved = {
        "/opt/smarteros/current": f"{folder}/current",
        "/var/lib/smarteros": f"{folder}/lib",
        "/run/smarteros-backup": f"{folder}/run",
    }
    for path, text in render.tree(SETTINGS).items():
        if path.startswith(("restore/", "backup/")):
            place = folder / "current" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(re.sub("|".join(moved), lambda found: moved[found[0]], text))
    return subprocess.run(
        ["bash", str(folder / "current" / "restore" / words[0]), *words[1:]],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# The drill


def test_a_drill_waits_for_the_backup_that_the_newest_comes_back_from(tmp_path: Path) -> None:
    done = run(tmp_path, "drill.sh", "light")
    said = "nothing is tried: the full backup of Postgres that the newest comes back from is not there yet; `journalctl -u smarteros-backup-postgres` says how far it is\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    assert (tmp_path / "lib/restore/drill.report").read_text() == said
    # It is not noted as one that was proven, and make status says so when that lasts.
    assert list((tmp_path / "lib/metrics").glob("*.prom")) == []
    assert all(line.startswith("rm ") for line in (tmp_path / "asked").read_text().splitlines())
    (tmp_path / "lib/backup/full").touch()
    begun = run(tmp_path, "drill.sh", "light")
    assert (begun.returncode, begun.stdout) == (
        1,
        "Postgres: its newest comes back from the bucket, beside what runs …\n",
    )
    assert any("pg_database_size" in line for line in (tmp_path / "asked").read_text().splitlines())


def test_what_a_drill_reads_is_the_newest_of_the_past_and_not_taken_away_meanwhile(tmp_path: Path) -> None:
    run(tmp_path, "drill.sh", "end")
    folder = tmp_path / "current" / "restore"
    (tmp_path / "docker").write_text(
        f"""#!/bin/sh
case $* in
*" snapshots "*) cat {tmp_path}/snapshots ;;
exec*)
    echo "$*" | sed 's/.* restore/restore/'
    flock --nonblock --shared {tmp_path}/run/repository echo sent
    flock --nonblock --exclusive {tmp_path}/run/repository echo gone ;;
esac
exit 0
"""
    )
    script = f". {folder}/lib.sh; eval \"$(sed -n '/^emptied() /p;/^read_out() /p;/^newest() /,/^}}/p;/^restored() /,/^}}/p' {folder}/drill.sh)\"; restored --tag service=odoo"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def restored(*times: str) -> tuple[int, str]:
        """What is restored of snapshots of these times, whose numbers are a, b, …; a clock was ahead when those of 2099 were made."""
        found = [
            {"time": time, "paths": ["/state/odoo_data"], "summary": {"backup_start": time}, "id": "abcdef"[number], "short_id": "f"}
            for number, time in enumerate(times)
        ]  # fmt: skip
        (tmp_path / "snapshots").write_text(json.dumps(found, separators=(",", ":")))
        done = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    taken = "restore {} --quiet --sparse --exclude-xattr trusted.* --exclude-xattr security.selinux --target /restored --no-lock\nsent\n"
    times = ["2026-11-26T12:00:00.5Z", "2026-11-26T09:30:00.123456789-03:00", "2026-11-26T12:10:00Z"]
    assert restored(*times) == (0, taken.format("b"))
    assert restored(*times, "2099-01-01T00:00:00Z") == (0, taken.format("b"))
    assert restored("2099-01-01T00:00:00Z") == (1, "")
    assert restored() == (1, "")


def test_each_failure_says_what_to_do() -> None:
    places = r"see the lines? above|docker [a-z]+|journalctl|systemctl|\bdf -h"
    deeds = r"make [a-z]+|run (the recovery )?again|goes on|choose|KIT|TO=…|rename|end that first|tomorrow|there is nothing to undo"
    failures = [
        line.strip()
        for path, text in SCRIPTS.items()
        for line in text.splitlines()
        if re.search(r'\bfail "', line) and "no part is called" not in line
    ]
    assert len(failures) > 60
    assert [
        line for line in failures if not re.search(f"{places}|{deeds}", line.partition('fail "')[2])
    ] == []


def test_what_is_half_dropped_is_in_no_list_and_altered_by_nobody() -> None:
    lines = [
        line
        for path, text in render.tree(SETTINGS).items()
        if path.startswith(("restore/", "backup/"))
        for line in text.splitlines()
        if "FROM pg_database" in line
    ]
    lists = [line for line in lines if "AND datallowconn" in line or "WHERE datallowconn" in line]
    assert len(lists) == 4
    assert [line for line in lists if "datconnlimit <> -2" not in line] == []
    template = [line for line in lines if "IS_TEMPLATE false" in line]
    assert len(template) == 1
    assert "CASE WHEN datistemplate THEN format('ALTER DATABASE" in template[0]


# What was kept


def dropped(folder: Path) -> list[str]:
    """The databases that Postgres was asked to drop."""
    lines = (folder / "asked").read_text().splitlines()
    return [line for line in lines if not line.startswith("rm ")]


def test_what_was_replaced_goes_after_a_week_and_not_before_and_what_never_came_into_place_at_once(
    tmp_path: Path,
) -> None:
    state, volume = tmp_path / "lib", tmp_path / "volume" / "_data"
    (state / "restore" / "kept").mkdir(parents=True)
    notes = {"20261101_010101": time.time() - 8 * 86400, "20261126_010101": time.time() - 6 * 86400}
    for stamp, at in notes.items():
        text = f"at {at:.0f}\nold odoo odoo\nold odoo my odoo\ndatabase odoo odoo\nitem {volume}\n"
        (state / "restore" / "kept" / f"odoo.{stamp}").write_text(text)
        volume.with_name(f"_data.before_{stamp}").mkdir(parents=True)
    volume.mkdir()
    # One was cut short while it made ready; the other came as far as its journal, and will be ended.
    for name in ("odoo", "n8n"):
        beside = tmp_path / name / "_data.restored"
        beside.mkdir(parents=True)
        begun = f"database my {name}_new\nitem {beside.with_suffix('')}\n"
        (state / "restore" / f"{name}.begun").write_text(begun)
    (state / "restore" / "n8n.journal").touch()
    # The clock is ahead by days: what has left for the bucket last is of before.
    (state / "metrics").mkdir()
    (state / "metrics" / "wal.prom").write_text(
        f"smarteros_wal_archived_until_timestamp_seconds {time.time() - 3 * 86400:.3f}\n"
    )
    assert run(tmp_path, "kept.sh").returncode == 0
    assert len([*(state / "restore" / "kept").iterdir()]) == 2
    (state / "metrics" / "wal.prom").write_text(
        f"smarteros_wal_archived_until_timestamp_seconds {time.time() - 30:.3f}\n"
    )
    for _ in range(2):
        assert run(tmp_path, "kept.sh").returncode == 0
    assert sorted(path.name for path in volume.parent.iterdir()) == ["_data", "_data.before_20261126_010101"]
    assert [path.name for path in (state / "restore" / "kept").iterdir()] == ["odoo.20261126_010101"]
    asked = dropped(tmp_path)
    assert asked == ["my odoo_new", "odoo_before_20261101_010101", "my odoo_before_20261101_010101"]
    assert [(tmp_path / name / "_data.restored").exists() for name in ("odoo", "n8n")] == [False, True]
    assert [(state / "restore" / f"{name}.begun").exists() for name in ("odoo", "n8n")] == [False, True]


def test_what_an_undo_that_was_cut_short_brings_back_stays_until_that_is_ended(tmp_path: Path) -> None:
    restores, before = tmp_path / "lib" / "restore", tmp_path / "volume" / "_data.before_20261101_010101"
    (restores / "kept").mkdir(parents=True)
    before.mkdir(parents=True)
    note, journal = restores / "kept" / "n8n.20261101_010101", restores / "n8n.journal"
    note.write_text(f"at {time.time() - 8 * 86400:.0f}\nold n8n n8n\nitem {before.with_name('_data')}\n")
    journal.write_text("from _before_20261101_010101\n")
    assert run(tmp_path, "kept.sh").returncode == 0
    assert (note.exists(), before.exists(), dropped(tmp_path)) == (True, True, [])
    journal.write_text(f"{journal.read_text()}swapped\n")
    assert run(tmp_path, "kept.sh").returncode == 0
    assert (note.exists(), before.exists()) == (False, False)
    assert dropped(tmp_path) == ["n8n_before_20261101_010101"]


@pytest.mark.parametrize("words", [["drill.sh", "light"], ["kept.sh"]])
def test_what_a_drill_has_left_on_a_host_that_was_cut_off_is_gone_before_anything_else(
    tmp_path: Path, words: list[str]
) -> None:
    copy = tmp_path / "lib" / "restore" / "postgres"
    copy.mkdir(parents=True)
    (tmp_path / "lib" / "backup").mkdir()
    (tmp_path / "lib" / "backup" / "full").touch()
    note = tmp_path / "lib" / "restore" / "kept" / "n8n.20261101_010101"
    note.parent.mkdir()
    note.write_text(f"at {time.time() - 8 * 86400:.0f}\nold n8n n8n\n")
    run(tmp_path, *words)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.startswith("rm ") for line in asked[:6]] == [True] * 5 + [False]
    assert not copy.exists()
    timer = restore_files.units(SETTINGS, "/current")["smarteros-backup-kept.timer"]
    assert "OnBootSec=1min\n" in timer


# The proof


def unproven(folder: Path, service: str, rows: str) -> list[str]:
    """What the script finds wrong below the folder. rows: what the database answers."""
    library = SCRIPTS["restore/lib.sh"].replace("/var/lib/smarteros", str(folder / "lib"))
    library = library.replace(". /opt/smarteros/current/backup/lib.sh", "fail() { exit 1; }")
    (folder / "lib.sh").write_text(library)
    (folder / "answer").write_text(rows)
    script = f". {folder}/lib.sh; about {service}; ask() {{ cat >/dev/null; cat {folder}/answer; }}; unproven {folder}/files ask"
    done = subprocess.run(["bash", "-uc", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def written(folder: Path, path: str, content: bytes) -> bytes:
    (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / "files" / path).write_bytes(content)
    return content


def test_each_file_that_a_row_names_is_there_as_the_row_says(tmp_path: Path) -> None:
    good, bad = (written(tmp_path, f"ab/{name}", name.encode()) for name in ("good", "bad"))
    rows = [
        f"{hashlib.sha1(good).hexdigest()}  ab/good",
        f"{hashlib.sha1(bad + b'x').hexdigest()}  ab/bad",
        f"{hashlib.sha1(b'').hexdigest()}  ab/gone with a space",
        "?  ab/good",
        "?  ab/nowhere",
        "!  ../../etc/shadow",
    ]
    assert unproven(tmp_path, "odoo", "\n".join(rows) + "\n") == [
        "../../etc/shadow",
        "ab/nowhere",
        "ab/bad",
        "ab/gone with a space",
    ]


def test_no_row_needs_no_file_and_without_the_folder_all_are_missing(tmp_path: Path) -> None:
    assert unproven(tmp_path, "odoo", "") == []
    assert unproven(tmp_path, "odoo", f"{'0' * 40}  ab/one\n?  ab/two\n") == ["ab/one", "ab/two"]


def test_chatwoots_sums_are_base64_of_md5(tmp_path: Path) -> None:
    content = written(tmp_path, "ab/cd/abcd", b"picture")
    row = hashlib.md5(content)
    assert base64.b64decode(base64.b64encode(row.digest())).hex() == row.hexdigest()
    assert unproven(tmp_path, "chatwoot", f"{row.hexdigest()}  ab/cd/abcd\n") == []
    written(tmp_path, "ab/cd/abcd", b"picturf")
    assert unproven(tmp_path, "chatwoot", f"{row.hexdigest()}  ab/cd/abcd\n") == ["ab/cd/abcd"]


def test_a_drill_fails_once_for_what_the_service_itself_has_lost(tmp_path: Path) -> None:
    run(tmp_path, "drill.sh", "end")
    folder = tmp_path / "current" / "restore"
    good, other = (written(tmp_path, f"filestore/one/ab/{name}", name.encode()) for name in ("good", "other"))
    rows = [
        f"{hashlib.sha1(each).hexdigest()}  ab/{name}"
        for name, each in (("good", good), ("other", other + b"x"), ("gone", b""))
    ]
    (tmp_path / "rows").write_text("\n".join(rows) + "\n")
    functions = f"eval \"$(sed -n '/^bad() /,/^}}/p;/^lost() /,/^}}/p' {folder}/drill.sh)\"; about odoo; wrong=; report={tmp_path}/report"
    asked = f"live() {{ cat >/dev/null; cat {tmp_path}/rows; }}; mount_of() {{ echo {tmp_path}/files; }}"

    def drilled(*files: str) -> tuple[int, str]:
        script = f'. {folder}/lib.sh; {functions}; {asked}; lost one "$1"'
        done = subprocess.run(
            ["bash", "-c", script, "bash", "\n".join(files)], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    # What runs has it: no copy that is whole.
    code, said = drilled("ab/good", "ab/gone")
    assert (code, said.strip()) == (1, "odoo: 1 files that rows of one name are missing or damaged: ab/good")
    for code, words in ((1, "TO=… brings them back"), (0, "ab/other ab/gone")):
        found = drilled("ab/other", "ab/gone")
        assert (found[0], words in found[1]) == (code, True), found
        assert "2 files that rows of one name are missing or damaged in what runs as well" in found[1]
    # One more since.
    assert drilled("ab/gone")[0] == 0
    assert drilled("ab/other", "ab/gone")[0] == 1


@pytest.mark.parametrize(("service", "table", "rows", "named"), [
    ("chatwoot", "active_storage_blobs (key, service_name, checksum)", [("abcdef", "local", "A"), ("fedcba", "amazon", "B"), ("ffffff", "s3_compatible", "C")], [("ab/cd/abcdef", "A")]),
    ("odoo", "ir_attachment (store_fname, checksum)", [("ab/abcd", "A"), ("s3://odoo/ab", "B"), (None, "C")], [("ab/abcd", "A")]),
])  # fmt: skip
def test_what_rows_say_is_stored_elsewhere_is_no_file_of_the_volume(
    service: str, table: str, rows: list[tuple[str | None, ...]], named: list[tuple[str, str]]
) -> None:
    proof = next(item.proof for item in load(SETTINGS) if item.name == service)
    assert proof
    store = sqlite3.connect(":memory:")
    store.create_function("strpos", 2, lambda text, part: None if text is None else text.find(part) + 1)
    store.execute(f"CREATE TABLE {table}")
    store.executemany(
        f"INSERT INTO {table.split(maxsplit=1)[0]} VALUES ({', '.join('?' * len(rows[0]))})", rows
    )
    assert store.execute(proof.sql).fetchall() == named


def test_a_service_has_what_its_file_says() -> None:
    odoo: Service = next(item for item in load(SETTINGS) if item.name == "odoo")
    [found] = [item for item in restore_files.restorable(SETTINGS, (odoo,)) if item.name == "odoo"]
    assert (found.roles, found.several, found.extensions) == (
        ("odoo",),
        ("odoo",),
        "odoo:pg_trgm odoo:unaccent",
    )
    assert (found.containers, found.jobs, found.hidden) == (("odoo",), ("odoo-init",), ("odoo",))
    assert found.places.splitlines() == [
        "volume odoo_data /state/odoo_data",
        "volume odoo_extra /state/odoo_extra",
    ]

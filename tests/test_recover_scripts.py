"""recover.sh for real, with a Docker that has folders for volumes: a part that was cut short begins anew and comes to its end."""

import hashlib
import os
import subprocess
from pathlib import Path

from tasks.rendering import render
from tests.samples import stack

TREE = render.tree(stack(backup={"endpoint": "https://s3.example.com", "bucket": "acme-backup"}))
# Like Compose it starts what copies with all volumes there, or not at all.
DOCKER = r"""#!/bin/bash
top=TOP
case "$*" in
"volume inspect"*) [ -d "$top/volumes/${*: -1}" ] ;;
"volume create"*) mkdir -p "$top/volumes/${*: -1}" ;;
"volume rm"*) rm -rf "$top/volumes/${*: -1}" ;;
"rm "*) echo "${*: -1}" >>$top/gone ;;
*backup-check*) [ -d $top/volumes/redis_data ] && echo REDIS0011 ;;
*recovering*redis*) cat >$top/volumes/redis_data/dump ;;
esac
"""


def run(folder: Path, *words: str, docker: str = DOCKER) -> subprocess.CompletedProcess[str]:
    """One part, on a host whose folders are below this one."""
    for path, text in TREE.items():
        if path.startswith(("restore/", "backup/", "dkcompose/backup")):
            moved = text
            for ours in (
                "/opt/smarteros/current",
                "/var/lib/smarteros",
                "/run/smarteros-backup",
                "/etc/dokploy",
            ):
                moved = moved.replace(ours, f"{folder}{ours}")
            place = folder / "opt/smarteros/current" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(moved)
    (folder / "docker").write_text(docker.replace("TOP", str(folder)))
    (folder / "docker").chmod(0o755)
    return subprocess.run(
        ["bash", str(folder / "opt/smarteros/current/restore/recover.sh"), *words],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_redis_that_was_cut_short_is_restored_into_a_new_volume(tmp_path: Path) -> None:
    notes = tmp_path / "var/lib/smarteros/recover"
    notes.mkdir(parents=True)
    (notes / "redis.begun").touch()
    (tmp_path / "volumes/redis_data").mkdir(parents=True)
    (tmp_path / "volumes/redis_data/half").touch()
    done = run(tmp_path, "redis", "beef")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (tmp_path / "volumes/redis_data").iterdir()] == ["dump"]
    # First what it may have left at work, which holds the volume.
    assert {"backup-check", "recovering"} <= set((tmp_path / "gone").read_text().split())
    assert sorted(path.name for path in notes.iterdir()) == ["redis", "redis.begun"]


def test_a_part_is_noted_once_it_is_on_the_disk(tmp_path: Path) -> None:
    notes = tmp_path / "var/lib/smarteros/recover"
    (tmp_path / "sync").write_text(f'#!/bin/sh\necho "$* $(ls {notes} | tr "\\n" " ")" >>{tmp_path}/synced\n')
    (tmp_path / "sync").chmod(0o755)
    done = run(tmp_path, "redis", "beef")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "synced").read_text().splitlines() == [
        " redis.begun ",
        f"{notes} redis redis.begun ",
    ]


def test_what_is_at_its_end_brings_nothing_back_whichever_notes_are_left(tmp_path: Path) -> None:
    notes = tmp_path / "var/lib/smarteros/recover"
    notes.mkdir(parents=True)
    (tmp_path / "volumes/redis_data").mkdir(parents=True)
    for name in ("end", "files", "redis.begun"):
        (notes / name).touch()
    done = run(tmp_path, "redis")
    assert (done.returncode, done.stderr, list((tmp_path / "volumes/redis_data").iterdir())) == (0, "", [])
    # By now timers are at work, whose containers stay.
    done = run(tmp_path, "end")
    assert (done.returncode, done.stderr, notes.exists()) == (0, "", False)
    assert not (tmp_path / "gone").exists()


def test_files_that_somebody_has_in_a_folder_of_the_host_are_not_replaced(tmp_path: Path) -> None:
    theirs = tmp_path / "etc/dokploy/theirs"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    done = run(tmp_path, "files", "0", "dokploy:beef:")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "/etc/dokploy on this host holds files, and dokploy has its own in the bucket: move them away, and run the recovery again\n"
    )
    assert theirs.exists()
    assert not (tmp_path / "var/lib/smarteros/recover/files.begun").exists()


# A bucket whose snapshots are folders, and a server with one database of Odoo's, which says what it was told.
BUCKET = r"""#!/bin/bash
top=TOP
case "$*" in
"volume inspect --format"*) echo "$top/volumes/${*: -1}" ;;
"volume inspect"*) [ -d "$top/volumes/${*: -1}" ] ;;
"volume create"*) mkdir -p "$top/volumes/${*: -1}" ;;
"volume rm"*) rm -rf "$top/volumes/${*: -1}" ;;
info*) echo "$top" ;;
*restored-files*--include*)
    words=("$@")
    to=$top/var/lib/smarteros/restore/files${words[-2]}
    mkdir -p "$to" && cp -a "$top/snapshots/${words[-1]}${words[-2]}/." "$to/"
    ;;
*restored-files*) cp -a "$top/snapshots/${*: -1}/." "$top/var/lib/smarteros/restore/files/" ;;
*"info --output=json") echo '{"size":1}' ;;
*no-delta*) echo "$*" >$top/told ;;
*"exec sed"*) rm $top/volumes/postgres_data/target ;;
*"run --detach"*) [ -e $top/volumes/postgres_data/target ] || touch $top/runs ;;
"inspect --format"*) [ -e $top/runs ] && echo true || echo false ;;
"logs --tail"*) echo 'FATAL:  recovery ended before configured recovery target was reached' ;;
*pg_is_in_recovery*) [ -e $top/runs ] && echo f ;;
*"repo-get --ignore-missing damaged") cat $top/damaged 2>/dev/null || true ;;
*"SELECT to_char"*) echo '2026-11-26 10:59:40Z' ;;
*"= 'odoo'"*) echo odoo ;;
*pg_get_userbyid*) ;;
"exec -i recovering"*) cat >/dev/null; cat $top/rows 2>/dev/null || true ;;
esac
"""


def recovered(folder: Path, part: str, *words: str) -> list[str]:
    """What is said of it."""
    done = run(folder, part, *words, docker=BUCKET)
    assert (done.returncode, done.stderr) == (0, "")
    return (folder / f"var/lib/smarteros/restore/recover.{part}.report").read_text().splitlines()


def snapshot(folder: Path, name: str, **files: str) -> None:
    """Of odoo's volumes: path, with __ for slashes → text."""
    for path, text in files.items():
        place = folder / "snapshots" / name / "state" / path.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def held(folder: Path, volume: str) -> dict[str, str]:
    top = folder / "volumes" / volume
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


def test_files_are_those_of_then_and_where_rows_name_files_those_of_later_beside_them(tmp_path: Path) -> None:
    snapshot(tmp_path, "old", odoo_data__a="of then", odoo_data__gone="of then", odoo_extra__b="of then")
    snapshot(tmp_path, "new", odoo_data__a="of then", odoo_data__made="since", odoo_extra__b="since")
    report = recovered(tmp_path, "files", "1", "odoo:old:new", "n8n::new", "caddy::")
    assert held(tmp_path, "odoo_data") == {"a": "of then", "gone": "of then", "made": "since"}
    assert held(tmp_path, "odoo_extra") == {"b": "of then"}
    assert report == [
        "files of odoo_data: 3",
        "files of odoo_extra: 1",
        "MISSING: of n8n there is no copy of that time: its files are those of the first one since",
        "MISSING: n8n_data of n8n is in no copy of that time: it begins empty",
        "MISSING: n8n_files of n8n is in no copy of that time: it begins empty",
        "MISSING: of caddy there is no copy of that time",
        "MISSING: caddy_data of caddy is in no copy of that time: it begins empty",
    ]


def test_files_for_which_there_is_no_room_are_not_begun(tmp_path: Path) -> None:
    done = run(tmp_path, "files", str(1 << 60), "odoo:old:new", docker=BUCKET)
    assert done.returncode == 1
    assert done.stderr.startswith("too little disk: the files of all services takes 1099511627776 MB")
    assert not (tmp_path / "var/lib/smarteros/recover/files.begun").exists()


def test_queues_of_which_there_is_no_copy_begin_empty(tmp_path: Path) -> None:
    assert recovered(tmp_path, "redis") == [
        "MISSING: of what Redis held there is no copy of that time: its queues begin empty"
    ]
    assert held(tmp_path, "redis_data") == {}


OPTIONS = (
    "--set=1F",
    "--type=time",
    "--target=2026-11-26 11:00:00+00",
    "--target-action=promote",
    "--target-timeline=1",
)


def test_files_are_proven_against_the_rows_that_came_back(tmp_path: Path) -> None:
    top = tmp_path / "volumes/odoo_data/filestore/odoo"
    (top / "aa").mkdir(parents=True)
    (top / "aa/whole").write_text("whole")
    whole, other = (hashlib.sha1(text).hexdigest() for text in (b"whole", b"other"))
    (tmp_path / "rows").write_text(f"{whole}  aa/whole\n")
    assert recovered(tmp_path, "postgres", *OPTIONS) == [
        "Postgres: its last heartbeat is of 2026-11-26 10:59:40Z",
        "files of odoo: each that its 1 rows name is there, as they say",
    ]
    assert (tmp_path / "told").read_text().endswith(" ".join((" restore bash", *OPTIONS)) + "\n")
    (tmp_path / "var/lib/smarteros/recover/postgres").unlink()
    (tmp_path / "rows").write_text(f"{whole}  aa/whole\n{other}  bb/gone\n")
    missing = tmp_path / "var/lib/smarteros/restore/recover.postgres.missing.odoo"
    assert recovered(tmp_path, "postgres")[1] == (
        f"MISSING: 1 of the 2 files that rows of odoo name are in no copy, or are damaged (all in {missing}): bb/gone "
    )
    assert missing.read_text() == "bb/gone\n"


def test_what_was_said_to_be_damaged_is_known_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "damaged").write_text("damaged 000000010000000000000006\ndamaged 000000010000000000000004\n")
    recovered(tmp_path, "postgres", *OPTIONS)
    known = tmp_path / "var/lib/smarteros/backup/damaged"
    assert known.read_text() == "000000010000000000000004\n000000010000000000000006\n"


def test_a_time_after_the_last_row_is_as_far_as_the_log_goes(tmp_path: Path) -> None:
    (tmp_path / "volumes/postgres_data").mkdir(parents=True)
    (tmp_path / "volumes/postgres_data/target").touch()
    assert recovered(tmp_path, "postgres", *OPTIONS)[:2] == [
        "the log in the bucket ends before that time: all of it has come back",
        "Postgres: its last heartbeat is of 2026-11-26 10:59:40Z",
    ]

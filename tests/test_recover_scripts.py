"""recover.sh for real, with a Docker that has folders for volumes: a part that was cut short begins anew and comes to its end."""

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
*backup-check*) [ -d $top/volumes/redis_data ] && echo REDIS0011 ;;
*recovering*redis*) cat >$top/volumes/redis_data/dump ;;
esac
"""


def run(folder: Path, part: str) -> subprocess.CompletedProcess[str]:
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
    (folder / "docker").write_text(DOCKER.replace("TOP", str(folder)))
    (folder / "docker").chmod(0o755)
    return subprocess.run(
        ["bash", str(folder / "opt/smarteros/current/restore/recover.sh"), part],
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
    done = run(tmp_path, "redis")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (tmp_path / "volumes/redis_data").iterdir()] == ["dump"]
    assert sorted(path.name for path in notes.iterdir()) == ["redis", "redis.begun"]


def test_what_is_at_its_end_brings_nothing_back_whichever_notes_are_left(tmp_path: Path) -> None:
    notes = tmp_path / "var/lib/smarteros/recover"
    notes.mkdir(parents=True)
    (tmp_path / "volumes/redis_data").mkdir(parents=True)
    for name in ("end", "files", "redis.begun"):
        (notes / name).touch()
    done = run(tmp_path, "redis")
    assert (done.returncode, done.stderr, list((tmp_path / "volumes/redis_data").iterdir())) == (0, "", [])
    done = run(tmp_path, "end")
    assert (done.returncode, done.stderr, notes.exists()) == (0, "", False)


def test_files_that_somebody_has_in_a_folder_of_the_host_are_not_replaced(tmp_path: Path) -> None:
    theirs = tmp_path / "etc/dokploy/theirs"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    done = run(tmp_path, "files")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "/etc/dokploy on this host holds files, and dokploy has its own in the bucket: move them away, and run the recovery again\n"
    )
    assert theirs.exists()
    assert not (tmp_path / "var/lib/smarteros/recover/files.begun").exists()

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


def test_redis_that_was_cut_short_is_restored_into_a_new_volume(tmp_path: Path) -> None:
    for path, text in TREE.items():
        if path.startswith(("restore/", "backup/", "dkcompose/backup")):
            moved = text.replace("/opt/smarteros/current", f"{tmp_path}/current")
            moved = moved.replace("/var/lib/smarteros", f"{tmp_path}/lib")
            (tmp_path / "current" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "current" / path).write_text(
                moved.replace("/run/smarteros-backup", f"{tmp_path}/run")
            )
    (tmp_path / "docker").write_text(DOCKER.replace("TOP", str(tmp_path)))
    (tmp_path / "docker").chmod(0o755)
    notes = tmp_path / "lib/recover"
    notes.mkdir(parents=True)
    (notes / "redis.begun").touch()
    (tmp_path / "volumes/redis_data").mkdir(parents=True)
    (tmp_path / "volumes/redis_data/half").touch()
    command = ["bash", str(tmp_path / "current/restore/recover.sh"), "redis"]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (tmp_path / "volumes/redis_data").iterdir()] == ["dump"]
    assert sorted(path.name for path in notes.iterdir()) == ["redis", "redis.begun"]

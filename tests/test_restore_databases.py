"""restore.sh for real, with a Docker that knows who owns which database: what was a service's then, and is not by now."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tasks.rendering import render
from tests.samples import stack

TREE = render.tree(stack(backup={"endpoint": "https://s3.example.com", "bucket": "acme-backup"}))
# Two servers with a line `role name` for each database: the archive, of which only what was named can be opened, and the one that runs.
DOCKER = r"""#!/bin/bash
top=TOP
case "$*" in
info*) echo "$top" ;;
"rm "*restored-postgres) rm -f $top/fetched ;;
compose*restored-postgres*)
    echo . >>$top/starts
    echo "$*" | grep -o -- '--db-include=.*' >$top/fetching
    mv $top/fetching $top/fetched
    sleep 1
    ;;
"exec restored-postgres bash"*) until [ -e $top/fetched ]; do sleep 0.1; done ;;
*restored-postgres*pg_dump*)
    grep -q -- "--db-include=${*: -1}\b" $top/fetched || exit 1
    ;;
"exec -i"*restored-postgres*)
    if [[ $* = *pg_class* ]]; then
        words=$*
        name=${words##* -d }
        name=${name%% -c *}
        grep -q -- "--db-include=$name\b" $top/fetched && ! grep -qsx "$name" $top/dropped && exit
        echo "FATAL: $name" >&2
        exit 2
    fi
    asked="$* $(cat)"
    case "$asked" in
    *pg_database_size*) echo 1000 ;;
    *heartbeat*) echo 1795723200 ;;
    *"pg_get_userbyid(datdba) = 'n8n'"*) cat $top/then ;;
    esac
    ;;
"exec postgres psql -wqAtX "*) [ ! -e $top/held ] || echo "process 7 holds it" ;;
"exec -i"*" postgres psql"*)
    echo "${*//$'\n'/ }" >>$top/asked
    name=$(sed -n 's/.*-v name=\(.*\) -v roles=.*/\1/p' <<<"$*")
    asked="$* $(cat)"
    case "$asked" in
    *"<> ALL"*) sed -n "s/ $name\$//p" $top/now | grep -vx n8n ;;
    *"DROP DATABASE"*"datconnlimit = -2"*) [ ! -e $top/stays ] || exit 3; rm -f $top/half ;;
    *"count(*) FROM pg_database"*) [ -e $top/renamed ]; echo $? ;;
    *"CONNECTION LIMIT"*"ROLLBACK"* | *"DROP DATABASE IF EXISTS"*)
        [ ! -e $top/held ] || ! grep -q "$(cat $top/held)" <<<"$asked" || { sleep 1; echo "ERROR: lock timeout" >&2; exit 3; }
        ;;
    *"RENAME TO"*) touch $top/swaps; [ ! -e $top/half ] || { echo "FATAL: invalid database" >&2; exit 2; }; touch $top/renamed ;;
    *"pg_get_userbyid(datdba) = 'n8n'"*"datconnlimit <> -2"*) grep '^n8n ' $top/now ;;
    *"pg_get_userbyid(datdba) = 'n8n'"*) grep -hs '^n8n ' $top/now $top/half ;;
    esac
    true
    ;;
"volume inspect"*) echo "$top/volumes/${*: -1}/_data" ;;
compose*restored-files*)
    words=("$@")
    mkdir -p "$top/var/lib/smarteros/restore/files${words[-2]}" && echo then >"$top/var/lib/smarteros/restore/files${words[-2]}/file"
    ;;
inspect*) false ;;
esac
"""


class Host:
    """Its folders below one, with n8n's databases as they were and as they are."""

    def __init__(self, root: Path, then: str, now: str) -> None:
        self.root = root
        for path, text in TREE.items():
            if path.startswith(("restore/", "backup/")):
                ours = r"/opt/smarteros/current|/var/lib/smarteros|/run/smarteros-backup"
                soon = text.replace("sleep 4 ", "sleep 0.3 ")
                self.write(f"opt/smarteros/current/{path}", re.sub(ours, rf"{root}\g<0>", soon))
        self.write("opt/smarteros/current/backup/heartbeat.sh", "true\n")
        self.write("var/lib/smarteros/metrics/wal.prom", "until 1795723300\n")
        self.write("then", then)
        self.write("now", now)
        for name, text in (("docker", DOCKER.replace("TOP", str(root))), ("systemctl", "#!/bin/sh\n")):
            self.write(name, text).chmod(0o755)

    def write(self, name: str, text: str) -> Path:
        """A file of it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """restore.sh of n8n, as its unit starts it."""
        given = {
            "TARGET": "2026-11-26 19:59:49+00",
            "UNTIL": "1795723200",
            "LABEL": "1F",
            "BEFORE": "",
            "AFTER": "",
            "KEEP_FILES": "1",
            **more,
        }
        return subprocess.run(
            ["bash", str(self.root / "opt/smarteros/current/restore/restore.sh"), "n8n", *words],
            env={**os.environ, **given, "PATH": f"{self.root}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def journal(self) -> list[str]:
        """What comes into the place of what runs."""
        lines = (self.root / "var/lib/smarteros/restore/n8n.journal").read_text().splitlines()
        return [line for line in lines if line.startswith(("database ", "old "))]

    def starts(self) -> int:
        """How often the archive was fetched."""
        return len((self.root / "starts").read_text().splitlines())


def test_a_database_that_has_gone_since_comes_back(tmp_path: Path) -> None:
    host = Host(tmp_path, then="n8n n8n\nn8n my extra.v2\n", now="n8n n8n\n")
    done = host.run("n8n")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.journal() == ["old n8n n8n", "database n8n n8n", "database n8n my extra.v2"]
    assert host.starts() == 2


def test_what_was_named_is_fetched_once(tmp_path: Path) -> None:
    host = Host(tmp_path, then="n8n n8n\nn8n extra\n", now="n8n n8n\nn8n extra\nn8n younger\n")
    done = host.run("n8n", "extra")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.journal() == [
        "old n8n n8n",
        "old n8n extra",
        "old n8n younger",
        "database n8n n8n",
        "database n8n extra",
    ]
    assert host.starts() == 1


def test_what_is_somebody_elses_by_now_stays_and_is_said(tmp_path: Path) -> None:
    host = Host(tmp_path, then="n8n n8n\nn8n extra\n", now="n8n n8n\nreader extra\n")
    done = host.run("n8n")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.journal() == ["old n8n n8n", "database n8n n8n"]
    report = (tmp_path / "var/lib/smarteros/restore/n8n.report").read_text()
    assert (
        "MISSING: the database extra was one of n8n's then; by now one of that name belongs to the role reader, and stays: rename that one "
        "(ALTER DATABASE) and run again to have the other\n"
    ) in report


@pytest.mark.parametrize(("then", "now", "why"), [
    ("n8n n8n\n", "reader n8n\n", "the database n8n belongs to the role reader by now, and not to n8n: make deploy gives it back to n8n; then run again\n"),
    ("", "n8n n8n\n", "at 2026-11-26 19:59:49+00 n8n had no database yet: choose a later time (make backups)\n"),
])  # fmt: skip
def test_what_cannot_come_back_is_said_before_anything_stops(
    tmp_path: Path, then: str, now: str, why: str
) -> None:
    host = Host(tmp_path, then, now)
    done = host.run("n8n")
    assert (done.returncode, done.stderr) == (1, why)
    assert not (tmp_path / "var/lib/smarteros/restore/n8n.journal").exists()


@pytest.mark.parametrize(("statement", "words"), [
    ("ROLLBACK", "Postgres gives no database of n8n another name now (see the lines above), and nothing was touched: the same command goes on"),
    ("DROP DATABASE IF EXISTS", "the database n8n_new cannot be made (see the lines above): docker logs postgres"),
])  # fmt: skip
def test_who_holds_what_a_restore_waits_for_is_said_before_anything_stops(
    tmp_path: Path, statement: str, words: str
) -> None:
    host = Host(tmp_path, then="n8n n8n\n", now="n8n n8n\n")
    host.write("docker", host.root.joinpath("docker").read_text().replace("inspect*) false ;;", f"inspect*) ;;\nstop*) touch {tmp_path}/stopped ;;")).chmod(0o755)  # fmt: skip
    held = host.write("held", statement)
    done = host.run("n8n")
    assert (done.returncode, done.stderr) == (1, f"process 7 holds it\nERROR: lock timeout\n{words}\n")
    assert not (tmp_path / "swaps").exists()
    assert not (tmp_path / "stopped").exists()
    held.unlink()
    assert host.run("n8n").returncode == 0
    assert (tmp_path / "swaps").exists()
    assert (tmp_path / "stopped").exists()


def test_nothing_that_a_restore_says_to_postgres_waits_without_an_end(tmp_path: Path) -> None:
    host = Host(tmp_path, then="n8n n8n\nn8n extra\n", now="n8n n8n\n")
    assert host.run("n8n").returncode == 0
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) > 10
    assert [line for line in asked if "-e PGAPPNAME=smarteros " not in line] == []
    assert [line for line in asked if " -c lock_timeout=10s postgres psql " not in line] == []


def test_what_was_dropped_right_after_that_time_is_said(tmp_path: Path) -> None:
    host = Host(tmp_path, then="n8n n8n\nn8n extra\n", now="n8n n8n\n")
    (tmp_path / "dropped").write_text("extra\n")
    done = host.run("n8n")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.journal() == ["old n8n n8n", "database n8n n8n"]
    report = (tmp_path / "var/lib/smarteros/restore/n8n.report").read_text()
    earlier = "where it was dropped right after that, choose a time half a minute earlier"
    assert (
        f"MISSING: the database extra of 2026-11-26 19:59:49+00 cannot be opened, and does not come back: {earlier} (FATAL: extra )\n"
        in report
    )
    (tmp_path / "var/lib/smarteros/restore/n8n.journal").unlink()
    (tmp_path / "dropped").write_text("n8n\n")
    done = host.run("n8n")
    assert (done.returncode, done.stderr) == (
        1,
        f"the database n8n of 2026-11-26 19:59:49+00 cannot be opened: {earlier} (FATAL: n8n )\n",
    )


def test_what_was_dropped_and_has_not_gone_whole_goes_before_anything_stops(tmp_path: Path) -> None:
    host = Host(tmp_path, then="n8n n8n\n", now="n8n n8n\n")
    half = tmp_path / "half"
    half.write_text("n8n half\n")
    (tmp_path / "stays").touch()
    done = host.run("n8n")
    assert (done.returncode, done.stderr) == (
        1,
        "a database of n8n that is half dropped cannot be dropped (see the lines above): docker logs postgres\n",
    )
    assert not (tmp_path / "var/lib/smarteros/restore/n8n.journal").exists()
    (tmp_path / "stays").unlink()
    done = host.run("n8n")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.journal() == ["old n8n n8n", "database n8n n8n"]
    # Another, while its containers are stopped already: the same command goes on.
    journal = tmp_path / "var/lib/smarteros/restore/n8n.journal"
    journal.write_text(journal.read_text().replace("swapped\n", ""))
    (tmp_path / "renamed").unlink()
    half.write_text("n8n half\n")
    done = host.run("n8n")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_undo_finds_its_names_free_or_stops_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path, then="", now="n8n n8n\nreader extra\n")
    kept = tmp_path / "var/lib/smarteros/restore/kept/n8n.20261126_200000"
    kept.parent.mkdir(parents=True)
    kept.write_text("stamp 20261126_200000\nold n8n n8n\nold n8n extra\n")
    done = host.run("--undo")
    assert (done.returncode, done.stderr) == (
        1,
        "a database extra that belongs to the role reader is where that of n8n comes back: rename it (ALTER DATABASE), and run again\n",
    )
    assert not (tmp_path / "var/lib/smarteros/restore/n8n.journal").exists()


FULL = "write error: No space left on device"


def test_what_is_replaced_is_noted_whole_or_nothing_stops(tmp_path: Path) -> None:
    host = Host(tmp_path, then="n8n n8n\n", now="n8n n8n\n")
    restores = tmp_path / "var/lib/smarteros/restore"
    restores.mkdir(parents=True)
    (restores / "n8n.journal.new").symlink_to("/dev/full")
    done = host.run("n8n")
    assert (done.returncode, FULL in done.stderr) == (1, True), done.stderr
    assert done.stderr.endswith(
        f"what is replaced cannot be noted below {restores}, so nothing is (see the lines above; df -h {restores}): make room, then run again\n"
    )
    assert not os.path.lexists(restores / "n8n.journal")
    assert not (tmp_path / "renamed").exists()
    (restores / "n8n.journal.new").unlink()
    assert host.run("n8n").returncode == 0
    # What an undo reads, of one whose containers are about to stop.
    journal = restores / "n8n.journal"
    lines = journal.read_text().replace("swapped\n", "")
    stamp = re.search(r"stamp (.*)", lines)
    assert stamp
    journal.write_text(lines)
    kept = restores / "kept" / f"n8n.{stamp[1]}"
    kept.unlink()
    kept.symlink_to("/dev/full")
    (tmp_path / "renamed").unlink()
    done = host.run("n8n")
    assert (done.returncode, "make room, then run again" in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "renamed").exists()
    kept.unlink()
    assert host.run("n8n").returncode == 0
    assert (tmp_path / "renamed").exists()
    assert kept.read_text() == lines


def test_each_step_stands_on_what_a_loss_of_power_leaves(tmp_path: Path) -> None:
    host = Host(tmp_path, then="n8n n8n\n", now="n8n n8n\n")
    restores, volume = tmp_path / "var/lib/smarteros/restore", tmp_path / "volumes/n8n_data"
    for name in ("n8n_data", "n8n_files"):
        (volume.with_name(name) / "_data").mkdir(parents=True)
    (volume / "_data/file").write_text("now\n")
    # How far it is, and what is on the disk from then on.
    said = f"""#!/bin/bash
far=prepared
[ ! -e {restores}/n8n.journal ] || far=journalled
[ ! -e {tmp_path}/renamed ] || far=renamed
for each; do [ "$each" = -f ] || echo "$far ${{each#{tmp_path}/}}" >>{tmp_path}/synced; done
"""
    host.write("sync", said).chmod(0o755)
    done = host.run("n8n", KEEP_FILES="", BEFORE="beef")
    assert (done.returncode, done.stderr) == (0, "")
    [kept] = [path.name for path in (restores / "kept").iterdir()]
    synced = (tmp_path / "synced").read_text().replace("var/lib/smarteros/restore", "…").splitlines()
    assert [line for line in synced if "n8n_files" not in line and "begun" not in line] == [
        "prepared …/n8n.journal.next",
        "prepared volumes/n8n_data/_data.restored",
        "prepared …/n8n.journal.next",
        "prepared …/n8n.journal.next",
        "prepared …/n8n.report",
        "prepared …/n8n.journal.new",
        "journalled …",
        f"journalled …/kept/{kept}",
        "journalled …/kept",
        "renamed volumes/n8n_data/",
        "renamed …/n8n.journal",
    ]
    assert synced[0] == "prepared …/n8n.begun"
    assert (volume / "_data/file").read_text() == "then\n"


def test_a_line_that_cannot_be_noted_ends_it(tmp_path: Path) -> None:
    host = Host(tmp_path, then="", now="")
    lib = host.root / "opt/smarteros/current/restore/lib.sh"
    done = subprocess.run(
        ["bash", "-c", f". {lib}; noted /dev/full database n8n n8n; echo it goes on"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, FULL in done.stderr) == (1, "", True), done.stderr

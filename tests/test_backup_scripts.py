"""The scripts that copy everything away, run as they are: a program in Docker's place says what it was asked, and ends as told.

What restic and pgBackRest do with it is seen on a lab host (tests/e2e/test_backup.py); here it is when they are asked, and what is noted.
"""

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.facts.spans import runs
from tasks.rendering import render
from tests.samples import stack

BACKUP = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}
# Volumes are folders here; a one-off ends with the number in `ends`, the next with the next.
# What says who holds a lock (tasks/rendering/psql.py) is there for as long as a statement, which is told here in no time.
SLEEP = '#!/bin/sh\n[ "$1" != 4 ] || exec /bin/sleep 4\n'
DOCKER = r"""#!/bin/sh
cd "$(dirname "$0")"
case "$1 $2" in
"volume inspect") shift 4; for name; do [ -d "volumes/$name" ] || exit 1; echo "$PWD/volumes/$name"; done ;;
"network inspect") cat "networks/$5" 2>/dev/null ;;
"network create") echo "$*" >>asked ;;
"exec postgres") shift 2; echo "$*" >>asked; case $* in *" archive/main/archive.info"*) cat differs 2>/dev/null || : ;; *repo-put*) "$@" ;; *=/recovery*repo-ls*) echo one/state ;; *state.sha256) sha256sum <state | cut -d " " -f 1 ;; *one/state) cat sealed ;; *repo-ls*main) cat log ;; *" info "*) cat info 2>/dev/null ;; *verify*) cat verify ;; esac ;;
"exec -i") cat >>statements; cat answer ;;
compose*)
    while [ "$1" != --name ]; do shift; done
    name=$2
    shift 2
    echo "$*" >>asked
    code=$(head -n 1 ends 2>/dev/null)
    case $* in *object-lock*) cat lock; exit ;; *http_code*) AWS_ACCESS_KEY_ID=A AWS_SECRET_ACCESS_KEY=B AWS_DEFAULT_REGION=R RESTIC_REPOSITORY=s3:https://s3 exec sh -c "${*#*-c }" ;; esac
    case " $* " in *" --no-lock "* | *" unlock "*) ;; *) [ ! -e locked ] || exit 11 ;; esac
    sed -i 1d ends 2>/dev/null
    [ ! -e "works/$name" ] || timeout 50 sh -c "until [ -e works/$name-ends ]; do /bin/sleep 0.1; done"
    case $* in *" prune "*) head -n 1 prunes 2>/dev/null; sed -i 1d prunes 2>/dev/null ;; esac
    exit ${code:-0} ;;
esac
"""


LOCKED = (
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode>"
    "<Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration> 200"
)


@dataclass
class Box:
    """A host's folders, below one."""

    root: Path

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """One of the scripts, as its unit starts it."""
        environment = {**os.environ, "PATH": f"{self.root}:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", str(self.root / "current" / "backup" / f"{name}.sh")],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def asked(self) -> list[str]:
        """What one-offs were asked since the last time."""
        file = self.root / "asked"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def write(self, name: str, text: str) -> Path:
        """A file of the host."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def ends(self, *codes: int) -> None:
        """How the next one-offs end."""
        self.write("ends", "".join(f"{code}\n" for code in codes))

    def metric(self, name: str) -> str:
        """What the node exporter reads, empty where nothing is written."""
        path = self.root / "lib" / "metrics" / f"{name}.prom"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def box(tmp_path: Path) -> Box:
    box = Box(tmp_path)
    chosen = ["vault", "postgres", "redis", "n8n", "odoo", "vault-auth-validator", "caddy"]
    moved = {
        "/opt/smarteros/current": f"{tmp_path}/current",
        "/var/lib/smarteros": f"{tmp_path}/lib",
        "/run/smarteros-backup": f"{tmp_path}/run",
        "/tmp/answer": f"{tmp_path}/answered",
        "/tmp/said": f"{tmp_path}/said",
    }
    files = render.tree(stack(backup=BACKUP, services=chosen))
    for path in (path for path in files if path.startswith("backup/")):
        text = re.sub("|".join(moved), lambda found: moved[found[0]], files[path])
        box.write(f"current/{path}", text)
    for name in ("n8n_data", "n8n_files", "odoo_data", "odoo_extra", "caddy_data"):
        box.write(f"volumes/{name}/file", "first\n")
    box.write("volumes/odoo_data/sessions/one", "")
    box.write("state", "sealed")
    box.write("sealed", "sealed")
    box.write("lock", LOCKED)
    box.write("docker", DOCKER).chmod(0o755)
    box.write("pgbackrest", '#!/bin/sh\necho "$*" >put; cat >>put\n').chmod(0o755)
    box.write("systemctl", f'#!/bin/sh\necho "systemctl $*" >>{tmp_path}/asked\n').chmod(0o755)
    box.write("sleep", SLEEP).chmod(0o755)
    bucket(box, "200")
    return box


def bucket(box: Box, code: str, said: str = "", end: str = "") -> None:
    """How the server answers. end: of curl's own, in the shell."""
    box.write("answers", said)
    curl = f"#!/bin/sh\ncat >{box.root}/login\ncat {box.root}/answers >{box.root}/answered\nprintf {code}\n{end}\n"
    box.write("curl", curl).chmod(0o755)


def services(lines: list[str]) -> list[str]:
    """Whose files were copied."""
    return [found[1] for line in lines if (found := re.search(r"--tag service=(\S+)", line))]


def settled(box: Box) -> None:
    """A first copy of all, long enough ago."""
    assert box.run("files").returncode == 0
    box.asked()
    for note in (box.root / "lib" / "backup").glob("*.since"):
        os.utime(note, (time.time() + 1, time.time() + 1))
    time.sleep(1.1)


def test_the_first_time_everything_is_copied_each_service_by_itself(box: Box) -> None:
    assert box.run("files").returncode == 0
    common = "backup-files backup --quiet --skip-if-unchanged --host smarteros --tag"
    omitted = "--exclude /state/n8n_data/n8nEventLog*.log --exclude /state/n8n_data/crash.journal"
    assert box.asked() == [
        f"{common} service=n8n {omitted} /state/n8n_data /state/n8n_files",
        f"{common} service=odoo --exclude /state/odoo_data/sessions /state/odoo_data /state/odoo_extra",
        f"{common} service=caddy /state/caddy_data",
    ]
    assert re.fullmatch(
        r'smarteros_backup_last_success_timestamp_seconds\{part="files"\} \d+\n', box.metric("backup_files")
    )


def test_where_nothing_has_changed_nothing_starts(box: Box) -> None:
    settled(box)
    assert box.run("files").returncode == 0
    assert box.asked() == []


@pytest.mark.parametrize(
    "change",
    [
        "echo more >>volumes/odoo_extra/file",
        "rm volumes/odoo_data/file",
        "mkdir volumes/odoo_data/new",
        "chmod 600 volumes/odoo_data/file",
        # As whoever unpacks an archive does: its time of change is that of long ago.
        "echo x >volumes/odoo_data/old; touch -d 2001-01-01 volumes/odoo_data/old",
        "mv volumes/odoo_data/file volumes/odoo_data/other",
    ],
)
def test_whatever_changes_is_copied_and_no_other_service(box: Box, change: str) -> None:
    settled(box)
    subprocess.run(["sh", "-c", change], cwd=box.root, check=True)
    assert box.run("files").returncode == 0
    assert services(box.asked()) == ["odoo"]


def test_a_change_in_a_folder_that_is_a_link_to_another_disk_is_copied(box: Box) -> None:
    here, there = box.root / "volumes" / "odoo_extra", box.root / "disk"
    here.rename(there)
    here.symlink_to(there)
    settled(box)
    (there / "file").write_text("second\n")
    assert box.run("files").returncode == 0
    assert services(box.asked()) == ["odoo"]


def test_a_clock_that_was_ahead_once_hides_no_change(box: Box) -> None:
    settled(box)
    tomorrow = time.time() + 86400
    os.utime(box.root / "lib" / "backup" / "odoo.since", (tomorrow, tomorrow))
    box.write("volumes/odoo_data/file", "second\n")
    assert box.run("files").returncode == 0
    assert services(box.asked()) == ["odoo"]
    assert (box.root / "lib" / "backup" / "odoo.since").stat().st_mtime < tomorrow - 3600


def test_what_is_made_anew_is_no_change(box: Box) -> None:
    settled(box)
    box.write("volumes/odoo_data/sessions/two", "a visitor\n")
    box.write("volumes/n8n_data/n8nEventLog.log", "made\n")
    os.utime(
        box.root / "lib" / "backup" / "n8n.since"
    )  # the folder has a new entry; what is in it has not to count
    time.sleep(1.1)
    box.write("volumes/n8n_data/n8nEventLog.log", "again\n")
    assert box.run("files").returncode == 0
    assert services(box.asked()) == []


def test_a_change_during_the_copy_is_seen_the_next_time(box: Box) -> None:
    settled(box)
    box.write("volumes/odoo_data/file", "second\n")
    assert box.run("files").returncode == 0
    box.asked()
    assert box.run("files").returncode == 0
    assert services(box.asked()) == ["odoo"]  # changed less than 2 s before the copy had begun


def test_one_that_fails_hinders_no_other_and_is_tried_again(box: Box) -> None:
    box.ends(1, 0, 0)
    failed = box.run("files")
    assert (failed.returncode, failed.stderr) == (1, "not copied: n8n\n")
    assert services(box.asked()) == ["n8n", "odoo", "caddy"]
    assert box.metric("backup_files") == ""
    assert box.run("files").returncode == 0
    assert "n8n" in services(box.asked())
    assert box.metric("backup_files")


def test_files_that_go_away_are_no_failure_and_files_that_never_can_be_read_are(box: Box) -> None:
    for _ in range(4):
        box.ends(3, 0, 0)
        assert box.run("files").returncode == 0
    box.ends(3, 0, 0)
    failed = box.run("files")
    assert (failed.returncode, failed.stderr) == (1, "not copied: n8n\n")


def test_a_volume_that_is_gone_is_said(box: Box) -> None:
    (box.root / "volumes" / "odoo_extra" / "file").unlink()
    (box.root / "volumes" / "odoo_extra").rmdir()
    failed = box.run("files")
    assert (failed.returncode, failed.stderr) == (
        1,
        "a volume is gone (see the line above): make status says what brings it back\n",
    )


def test_a_lock_that_a_killed_run_has_left_is_removed(box: Box) -> None:
    box.ends(11, 0, 0)
    assert box.run("files").returncode == 0
    assert [line.split(" --")[0] for line in box.asked()] == [
        "backup-files backup",
        "backup-check unlock",
        "backup-files backup",
        "backup-files backup",
        "backup-files backup",
    ]


def test_a_bucket_is_prepared_though_a_host_that_was_killed_has_left_a_lock(box: Box) -> None:
    box.write("locked", "")
    box.write("answer", "")
    done = box.run("prepare")
    assert (done.returncode, done.stderr) == (0, "")
    assert (box.root / "lib/backup/prepared").exists()


def test_a_network_that_a_prune_has_removed_is_made_again_as_it_was(box: Box) -> None:
    for name in ("backup-net", "drill-net"):
        box.write(f"networks/{name}", "10.207.3.0/24 1450 10.207.0.0/16\n")
    assert box.run("files").returncode == 0
    (box.root / "networks" / "backup-net").unlink()
    box.asked()
    box.write("volumes/odoo_data/file", "second\n")
    assert box.run("files").returncode == 0
    made = box.asked()[0]
    assert made.startswith(
        "network create --driver bridge --subnet 10.207.3.0/24 --opt com.docker.network.driver.mtu=1450 "
    )
    assert made.endswith("--label smarteros.network=yes --label smarteros.pool=10.207.0.0/16 backup-net")


def heartbeat(box: Box, ended: str, at: str, archived: str, now: str) -> None:
    box.write("answer", f"ended|{at}|{ended}\narchived|{archived}|{now}\n")
    assert box.run("heartbeat").returncode == 0


def test_what_was_before_a_heartbeat_whose_segment_has_left_can_be_had_again(box: Box) -> None:
    heartbeat(box, "0000000100000000000000E1", "1000.500", "", "1000.600")
    assert box.metric("wal") == ""
    heartbeat(box, "0000000100000000000000E2", "1030.500", "0000000100000000000000E1", "1030.700")
    assert box.metric("wal") == (
        "smarteros_wal_archived_until_timestamp_seconds 1000.500\nsmarteros_wal_archive_age_seconds 30\n"
    )
    # The bucket is away: it grows older.
    heartbeat(box, "0000000100000000000000E3", "1060.500", "0000000100000000000000E1", "1240.500")
    assert box.metric("wal").endswith("seconds 240\n")
    # A later log, and a later timeline.
    heartbeat(box, "000000010000000100000000", "1250.000", "000000010000000100000000", "1250.000")
    assert box.metric("wal").startswith("smarteros_wal_archived_until_timestamp_seconds 1250.000\n")
    assert (box.root / "statements").read_text().count("pg_switch_wal()") == 4


def log(*names: str) -> str:
    """As pgBackRest lists the archive: these segments, and what stands beside them."""
    segments = [f"17-1/{name[:16]}/{name}-{'a' * 40}.zst" for name in names]
    others = ["17-1/0000000100000000/000000010000000000000004.00000028.backup", "archive.info"]
    files = {path: {"type": "file", "size": 1, "time": 1795820197} for path in [*segments, *others]}
    return json.dumps({".": {"type": "path"}, "17-1": {"type": "path"}} | files, separators=(",", ":")) + "\n"


# Of pgBackRest 2.55, as far as it is read: a full backup before the gap, one behind it, and one of what has changed.
INFO = json.dumps(
    [
        {
            "archive": [{"database": {"id": 1}, "min": "000000010000000000000004"}],
            "backup": [
                {"archive": {"start": f"{start:024X}", "stop": f"{start:024X}"}, "label": label, "type": kind}
                for start, label, kind in (
                    ((1 << 64) + 4, "20261120-040000F", "full"),
                    ((1 << 64) + 6, "20261127-040000F", "full"),
                    ((1 << 64) + 8, "20261127-040000F_20261127-100000I", "incr"),
                )
            ],
        }
    ],
    separators=(",", ":"),
)
WELL = "stanza: main\nstatus: ok\n"


@pytest.mark.parametrize(
    ("names", "verify", "said"),
    [
        # 16 MB each: 256 in a log, and then the next log.
        (["0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000"], WELL, ""),
        (["000000010000000000000004", "000000010000000000000005", "000000020000000000000005"], WELL, ""),
        (
            ["0000000100000000000000FE", "000000010000000100000001"],
            WELL,
            "the log has a gap before 000000010000000100000001: 2 segments are missing or damaged\n",
        ),
        (["000000010000000000000004"], "stanza: main\nstatus: error\n", "stanza: main\nstatus: error\n"),
        (["000000010000000000000004"], "", "\n"),
    ],
)
def test_a_log_with_a_gap_or_a_wrong_sum_is_found(box: Box, names: list[str], verify: str, said: str) -> None:
    box.write("answer", "16777216\n")
    box.write("verify", verify)
    box.write("log", log(*names))
    done = box.run("check")
    assert (done.returncode, bool(box.metric("backup_check"))) == ((1, False) if said else (0, True))
    assert done.stderr.startswith(said)


def test_a_segment_that_comes_after_the_one_behind_it_is_no_gap(box: Box) -> None:
    box.write("answer", "16777216\n")
    box.write("verify", WELL)
    names = [f"00000001000000000000000{n}" for n in (4, 5, 6)]
    box.write("log", log(names[0], names[2]))
    box.write("later", log(*names))
    box.write("sleep", f'{SLEEP}echo "$1" >>{box.root}/slept\nmv {box.root}/later {box.root}/log\n')
    done = box.run("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert (box.root / "slept").read_text() == "30\n"


def test_behind_a_gap_a_full_backup_is_made_at_once(box: Box) -> None:
    assert box.run("postgres").returncode == 0
    assert box.run("postgres").returncode == 0
    box.write("answer", "16777216\n")
    box.write("verify", WELL)
    box.write("log", log("000000010000000000000004", "000000010000000000000006"))
    for _ in range(2):  # the gap is still there a night later
        assert box.run("check").returncode == 1
        assert box.run("postgres").returncode == 0
    asked = [line.split("--stanza=main ")[-1] for line in box.asked()]
    assert [line for line in asked if line.startswith(("--type=", "systemctl"))] == [
        "--type=full backup",
        "--type=incr backup",
        "systemctl start --no-block smarteros-backup-postgres.service",
        "--type=full backup",
        "--type=incr backup",
    ]
    # The full one begins behind it, whatever came after that: nothing newest needs what is missing.
    box.write("log", log("000000010000000000000004", *(f"00000001000000000000000{n}" for n in (6, 7, 8))))
    box.write("info", INFO)
    box.write("sleep", f"{SLEEP}touch {box.root}/slept\n")
    done = box.run("check")
    assert (done.returncode, bool(box.metric("backup_check")), (box.root / "slept").exists()) == (
        0,
        True,
        False,
    )
    assert done.stderr.endswith(
        "before 000000010000000000000006: 1 segments are missing or damaged, behind which a full backup was made\n"
    )
    assert box.run("postgres").returncode == 0
    assert "--type=incr backup" in box.asked()[-1]


# Of pgBackRest 2.55.1, with INFO's backups: what it says of a segment and of a backup of before the newest full one, and of later ones.
SEGMENT = "INFO: invalid checksum '17-1/0000000100000000/{}-8684c70b535c6a951ab404f76fded6abfbec6961.zst'"
CUT = (
    "INFO: invalid result 17-1/0000000100000000/{}-da07f48c3f5743c63c609e73237018bad435ee00.zst: [95] raised from local-1 protocol: unable to flush\n"
    "                                        [CryptoError] on 2 retries from 8-15010ms: unable to flush"
)
TWICE = "INFO: duplicate WAL '{}' for '17-1' exists, skipping"
AWAY = (
    "INFO: invalid result 17-1/0000000100000000/{}-da07f48c3f5743c63c609e73237018bad435ee00.zst: [101] raised from local-1 protocol: HTTP request "
    "failed with 503 (Service Unavailable)"
)
OF_BACKUP = "INFO: invalid checksum '{}/bundle/1'"


def verified(*lines: str) -> str:
    """All that verify says. Lines: of what it finds."""
    bad = [found[1] for line in lines if (found := re.search(r"'(\S+)/bundle/1'", line))]
    states = (
        f"\n  backup: {label}, status: {'invalid' if label in bad else 'valid'}, total files checked: 968, total valid files: {967 if label in bad else 968}"
        for label in ("20261120-040000F", "20261127-040000F", "20261127-040000F_20261127-100000I")
    )
    result = f"stanza: main\nstatus: {'error' if lines else 'ok'}\n  archiveId: 17-1, total WAL checked: 20, total valid WAL: 19{''.join(states)}\n"
    told = (
        "INFO: verify command begin 2.55.1: --verbose",
        *lines,
        f"INFO: {result}".replace("\n", "\n      "),
    )
    return "".join(f"2026-11-27 22:57:03.327 P02   {line}\n" for line in told) + result


def whole(box: Box) -> None:
    """A log without a gap, with two full backups in it."""
    well(box)
    box.write("log", log(*(f"00000001000000000000000{n}" for n in range(4, 10))))
    box.write("info", INFO)
    box.write("verify", verified())
    assert box.run("check").returncode == 0
    box.asked()


BEFORE = (
    (SEGMENT, "000000010000000000000005"),
    (CUT, "000000010000000000000005"),
    (TWICE, "000000010000000000000005"),
    (OF_BACKUP, "20261120-040000F"),
)


@pytest.mark.parametrize(("line", "what"), BEFORE)
def test_damage_that_no_newest_restore_needs_is_said_once(box: Box, line: str, what: str) -> None:
    whole(box)
    box.write("verify", verified(line.format(what)))
    first, second = box.run("check"), box.run("check")
    named = f"damaged: {what} (make backups says which times that costs)\n"
    assert (first.returncode, first.stderr.splitlines()[-1]) == (1, "the backups are not whole: damaged")
    assert named in first.stderr
    assert (second.returncode, named in second.stderr) == (0, True)
    # It brings nothing back, and all that is newest does without it.
    assert not [line for line in box.asked() if line.startswith("systemctl")]
    box.write("verify", verified(line.format(what), SEGMENT.format("000000010000000000000004")))
    assert box.run("check").returncode == 1
    assert box.run("check").returncode == 0


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (SEGMENT, "000000010000000000000007"),
        (CUT, "000000010000000000000009"),
        (OF_BACKUP, "20261127-040000F"),
        (OF_BACKUP, "20261127-040000F_20261127-100000I"),
    ],
)
def test_behind_damage_a_full_backup_is_made_and_the_check_is_well_again(
    box: Box, line: str, what: str
) -> None:
    whole(box)
    assert box.run("postgres").returncode == 0
    box.asked()
    box.write("verify", verified(line.format(what)))
    for _ in range(2):  # it is as needed a night later, and full backups are not made each night
        done = box.run("check")
        assert done.returncode == 1
        assert " damaged" in done.stderr.splitlines()[-1]
    asked = [line for line in box.asked() if line.startswith("systemctl")]
    assert asked == ["systemctl start --no-block smarteros-backup-postgres.service"]
    assert not (box.root / "lib" / "backup" / "full").exists()
    newer = INFO.replace("20261127-040000F", "20261128-040000F").replace(
        "000000010000000000000006", "00000001000000000000000A"
    )
    box.write("info", newer)
    assert box.run("check").returncode == 0
    assert box.metric("backup_check")


def test_a_manifest_that_differs_from_its_copy_is_damage_of_its_backup(box: Box) -> None:
    whole(box)
    box.write("differs", "backup/main/20261120-040000F/backup.manifest\n")
    first, second = box.run("check"), box.run("check")
    assert (first.returncode, second.returncode) == (1, 0)
    assert "damaged: 20261120-040000F (" in first.stderr
    box.write("differs", "backup/main/backup.info\nbackup/main/20261120-040000F/backup.manifest\n")
    for _ in range(2):
        assert box.run("check").stderr.splitlines()[-1] == "the backups are not whole: descriptions"


@pytest.mark.parametrize(
    "line",
    [
        AWAY.format("000000010000000000000005"),
        "INFO: archiveIds '16-1' are not in the archive.info history list",
    ],
)
def test_what_could_not_be_read_is_no_damage_and_never_well(box: Box, line: str) -> None:
    whole(box)
    box.write("verify", verified(SEGMENT.format("000000010000000000000005"), line))
    for _ in range(2):
        said = box.run("check").stderr.splitlines()
        assert said[-1] == "the backups are not whole: pgbackrest-verify"
        assert said[-2].endswith(line)
    assert not [line for line in box.asked() if line.startswith("systemctl")]


def test_what_is_damaged_stands_in_the_bucket_for_whoever_has_only_that(box: Box) -> None:
    whole(box)
    into = "--stanza=main --repo1-path=/recovery --repo1-cipher-type=none repo-put damaged\n"
    assert (box.root / "put").read_text() == into
    box.write(
        "verify", verified(SEGMENT.format("000000010000000000000006"), OF_BACKUP.format("20261120-040000F"))
    )
    assert box.run("check").returncode == 1
    assert (box.root / "put").read_text() == (
        f"{into}damaged 000000010000000000000006\ndamaged 20261120-040000F\n"
    )
    # What could not be read changes nothing.
    box.write("verify", verified(AWAY.format("000000010000000000000005")))
    (box.root / "put").unlink()
    assert box.run("check").returncode == 1
    assert not (box.root / "put").exists()
    box.write("verify", verified())
    box.write("pgbackrest", "#!/bin/sh\nexit 1\n")
    assert box.run("check").stderr.splitlines()[-1] == "the backups are not whole: list"


def test_what_is_damaged_is_not_forgotten_where_the_disk_is_full(box: Box) -> None:
    whole(box)
    box.write("verify", verified(OF_BACKUP.format("20261120-040000F")))
    assert box.run("check").returncode == 1
    known, told = (box.root / name for name in ("lib/backup/damaged", "put"))
    assert (before := known.read_text())
    (known.parent / ".damaged").symlink_to("/dev/full")
    told.unlink()
    full = box.run("check")
    assert full.returncode == 1
    assert full.stderr.endswith(
        f"; and what is damaged of them cannot be noted (see the lines above): df -h {known.parent}\n"
    )
    assert (known.read_text(), told.exists()) == (before, False)


def test_what_is_in_the_bucket_is_listed_without_what_is_damaged(box: Box) -> None:
    whole(box)
    box.write("verify", verified(SEGMENT.format("000000010000000000000006")))
    assert box.run("check").returncode == 1
    lines = box.run("list").stdout.splitlines()
    assert lines[-2:] == [
        "log 000000010000000000000004 000000010000000000000005 1795820197 0 000000010000000000000007 000000010000000000000009 1795820197 1",
        "damaged 000000010000000000000006",
    ]


def error(name: str, said: str) -> str:
    return f'<?xml version="1.0"?>\n<Error><Code>{name}</Code><Message>{said}</Message></Error>'


@pytest.mark.parametrize(("answer", "said"), [
    (("503", error("SlowDown", "Please reduce your request rate.")), "the server answers with HTTP 503: SlowDown: Please reduce your request rate."),
    (("403", error("RequestTimeTooSkewed", "Too large.")), "the clock of this host is wrong (timedatectl), so the server refuses it: RequestTimeTooSkewed: Too large."),
    (("502", "<html>Bad gateway</html>"), "the server answers with HTTP 502"),
    (("000", "", "echo 'curl: (60) SSL certificate problem: certificate has expired' >&2; echo 'More details here: …' >&2; exit 60"), "curl: (60) SSL certificate problem: certificate has expired"),
])  # fmt: skip
def test_why_a_bucket_does_not_answer_is_said_at_once(box: Box, answer: tuple[str, ...], said: str) -> None:
    whole(box)
    box.asked()
    bucket(box, *answer)
    assert box.run("list").stdout.splitlines()[1:] == [f"wrong bucket: {said}"]
    now = box.run("now")
    assert (now.returncode, now.stderr.splitlines()[0]) == (1, said), now.stderr
    assert "nothing is copied now, for the bucket does not answer as it should" in now.stderr
    # Nobody is asked who would try for a quarter of an hour.
    assert [line for line in box.asked() if " snapshots " in line or line.startswith("systemctl")] == []
    bucket(box, "404", error("NoSuchKey", "The specified key does not exist."))
    assert "snapshots" in box.run("list").stdout
    assert (box.root / "login").read_text().startswith('user = "A:B"\n')


def test_what_came_back_with_a_rewind_was_there_at_the_time_that_it_went_back_to(box: Box) -> None:
    box.write("answer", "16777216\n")
    box.write("log", log("000000010000000000000004"))
    for noted, came in (
        ("1795820100 1795820300 1795800000\n", 1795800000),
        # Another one, after which it came; and one to a time that it is older than.
        ("1795810000 1795810100 1795800000\n", 1795820197),
        ("1795820100 1795820300 1795820250\n", 1795820197),
        ("1795820100 1795820300 1795810000\n1795830000 1795830100 1795820200\n", 1795810000),
    ):
        box.write("lib/backup/rewound", noted)
        assert box.run("list").stdout.splitlines()[-1] == (
            f"log 000000010000000000000004 000000010000000000000004 {came} 0"
        )


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (16, ["0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000"]),
        (4, ["0000000100000000000003FE", "0000000100000000000003FF", "000000010000000100000001"]),
        (16, ["000000010000000000000004", "000000010000000000000006", "000000020000000000000006"]),
    ],
)
def test_a_recovery_sees_the_gaps_that_the_host_sees(box: Box, size: int, names: list[str]) -> None:
    """It knows no size of segments, and has the bucket alone (tasks/facts/spans.py)."""
    box.write("answer", f"{size << 20}\n")
    box.write("log", log(*names))
    [words] = [line.split()[1:] for line in box.run("list").stdout.splitlines() if line.startswith("log ")]
    assert runs(names) == list(zip(words[::4], words[1::4], strict=True))


def test_metrics_are_readable_for_anybody_whatever_the_umask(box: Box) -> None:
    before = os.umask(0o077)
    try:
        assert box.run("postgres").returncode == 0
    finally:
        os.umask(before)
    folder = box.root / "lib" / "metrics"
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder / "backup_postgres.prom")] == [
        "0o755",
        "0o644",
    ]


def test_an_archive_without_any_log_is_not_well(box: Box) -> None:
    box.write("answer", "16777216\n")
    box.write("verify", WELL)
    box.write("log", log())
    assert box.run("check").stderr == "the backups are not whole: log\n"


def well(box: Box) -> None:
    """A log without a gap, whose sums are right."""
    box.write("answer", "16777216\n")
    box.write("verify", WELL)
    box.write("log", log("000000010000000000000004"))


def test_nothing_is_let_go_of_where_something_is_damaged(box: Box) -> None:
    well(box)
    box.ends(1)
    damaged = box.run("check")
    assert (damaged.returncode, damaged.stderr) == (1, "the backups are not whole: restic-check\n")
    assert [line for line in box.asked() if " forget " in line or " prune " in line] == []
    assert box.run("check").returncode == 0
    assert [line for line in box.asked() if " forget " in line]


def test_a_sealed_state_that_is_another_than_its_sum_says_is_found(box: Box) -> None:
    well(box)
    assert box.run("check").returncode == 0
    box.write("sealed", "sealee")
    assert box.run("check").stderr == "the backups are not whole: sealed-state\n"


@pytest.mark.parametrize(
    "answer",
    [
        "<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error> 404",
        LOCKED.replace("COMPLIANCE", "GOVERNANCE"),
    ],
)
def test_a_bucket_that_kept_every_version_and_does_no_more_is_found(box: Box, answer: str) -> None:
    well(box)
    box.write("lock", answer)
    assert box.run("check").returncode == 0  # it never did: make bucket has said so
    assert box.metric("bucket") == "smarteros_bucket_locked 0\n"
    box.write("lock", LOCKED)
    assert box.run("check").returncode == 0
    assert box.metric("bucket") == "smarteros_bucket_locked 1\n"
    box.write("lock", " 000")
    assert box.run("check").returncode == 0
    assert box.metric("bucket") == "smarteros_bucket_locked 1\n"
    box.write("lock", answer)
    assert box.run("check").stderr == "the backups are not whole: bucket-lock\n"
    assert box.metric("bucket") == "smarteros_bucket_locked 0\n"


def test_two_at_once_wait_for_each_other(box: Box) -> None:
    script = box.root / "docker"
    script.write_text(
        DOCKER.replace(
            '    echo "$*" >>asked\n', '    echo "$1 begins" >>asked; sleep 0.5; echo "$1 ends" >>asked\n'
        )
    )
    environment = {**os.environ, "PATH": f"{box.root}:{os.environ['PATH']}"}
    path = str(box.root / "current" / "backup" / "files.sh")
    both = [subprocess.Popen(["sh", path], env=environment) for _ in range(2)]
    assert [each.wait(timeout=60) for each in both] == [0, 0]
    lines = box.asked()
    assert lines == ["backup-files begins", "backup-files ends"] * (len(lines) // 2)


def asked_for(box: Box, words: str) -> None:
    """Docker is, or has been."""
    deadline, asked = time.monotonic() + 30, box.root / "asked"
    while not asked.exists() or words not in asked.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def begun(box: Box, script: str, container: str) -> subprocess.Popen[bytes]:
    """The script, once its one-off is at work, which it is until ``works/CONTAINER-ends`` is there."""
    box.write(f"works/{container}", "")
    environment = {**os.environ, "PATH": f"{box.root}:{os.environ['PATH']}"}
    process = subprocess.Popen(["sh", str(box.root / "current" / "backup" / f"{script}.sh")], env=environment)
    asked_for(box, container)
    return process


def ended(box: Box, process: subprocess.Popen[bytes], container: str) -> int:
    """How it ends, now that it may."""
    box.write(f"works/{container}-ends", "")
    return process.wait(timeout=60)


def test_what_takes_hours_holds_up_nothing_else_that_is_sent(box: Box) -> None:
    box.write("answer", "odoo\todoo\n")
    dump = begun(box, "dumps", "backup-dumps")
    assert box.run("files").returncode == 0
    assert box.run("vault").returncode == 0
    assert dump.poll() is None
    assert services(box.asked()) == ["postgres", "n8n", "odoo", "caddy", "vault"]
    assert ended(box, dump, "backup-dumps") == 0


def test_of_what_is_short_one_is_in_memory_at_a_time(box: Box) -> None:
    files = begun(box, "files", "backup-files")
    environment = {**os.environ, "PATH": f"{box.root}:{os.environ['PATH']}"}
    vault = subprocess.Popen(["sh", str(box.root / "current" / "backup" / "vault.sh")], env=environment)
    time.sleep(1)
    assert services(box.asked()) == ["n8n"]
    assert ended(box, files, "backup-files") == 0
    assert vault.wait(timeout=60) == 0
    assert "vault" in services(box.asked())


def test_nothing_is_let_go_of_while_something_is_sent_and_nothing_sent_meanwhile(box: Box) -> None:
    well(box)
    files = begun(box, "files", "backup-files")
    environment = {**os.environ, "PATH": f"{box.root}:{os.environ['PATH']}"}
    check = subprocess.Popen(
        ["sh", str(box.root / "current" / "backup" / "check.sh")], env=environment, stderr=subprocess.DEVNULL
    )
    asked_for(box, "backup-check check")
    time.sleep(1)
    assert not [line for line in box.asked() if " forget " in line]
    box.write("works/backup-check", "")
    assert ended(box, files, "backup-files") == 0
    asked_for(box, "backup-check forget")
    vault = subprocess.Popen(["sh", str(box.root / "current" / "backup" / "vault.sh")], env=environment)
    time.sleep(1)
    assert vault.poll() is None
    assert ended(box, check, "backup-check") == 0
    assert vault.wait(timeout=60) == 0


def test_what_nobody_needs_goes_in_steps_between_which_files_are_sent(box: Box) -> None:
    well(box)
    said = "unused size after prune: {} GiB ({}.00% of remaining size)\n"
    box.write("prunes", said.format(9, 45) + said.format(4, 20) + said.format(1, 5))
    # A change, and the next time that its timer starts it.
    files = box.root / "current" / "backup" / "files.sh"
    box.write(
        "sleep",
        f'{SLEEP}echo "sleep $*" >>{box.root}/asked\nrm -f {box.root}/lib/backup/odoo.since\nexec timeout 20 sh {files}\n',
    ).chmod(0o755)
    settled(box)
    assert box.run("check").returncode == 0
    steps = [line.split(" --")[0] for line in box.asked()]
    assert steps[:7] == [
        "backup-check check",
        "backup-check forget",
        "backup-check prune",
        "sleep 60",
        "backup-files backup",
        "backup-check prune",
        "sleep 60",
    ]
    assert steps.count("backup-check prune") == 3
    box.write("prunes", said.format(9, 45) * 99)
    assert box.run("check").returncode == 0
    assert len([line for line in box.asked() if " prune " in line]) == 20


def failed(box: Box, unit: str) -> list[str]:
    """What people are told after systemd has started the note of this unit's failure."""
    box.write("journalctl", "#!/bin/sh\necho 'odoo: 3 files differ'\n").chmod(0o755)
    script = box.root / "current" / "backup" / "failed.sh"
    timer = box.write("notify.timer", "")
    script.write_text(script.read_text().replace("/etc/systemd/system/smarteros-notify.timer", str(timer)))
    environment = {**os.environ, "PATH": f"{box.root}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", str(script), unit], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    new = box.root / "lib" / "notify" / "new"
    told = [path.read_text() for path in new.glob("*")]
    for path in new.glob("*"):
        path.unlink()
    return told


def test_a_drill_that_fails_is_told_each_time(box: Box) -> None:
    for _ in range(2):
        assert failed(box, "smarteros-drill-full") == ["drill failed drill-full\nodoo: 3 files differ \n"]


def test_a_part_that_fails_is_told_once_until_it_has_succeeded_again(box: Box) -> None:
    assert failed(box, "smarteros-backup-dumps") == ["backup failed dumps\nodoo: 3 files differ \n"]
    assert failed(box, "smarteros-backup-dumps") == []
    (box.root / "lib" / "backup" / "failed" / "dumps").unlink()
    assert len(failed(box, "smarteros-backup-dumps")) == 1


def test_what_is_tried_again_within_a_minute_is_told_nobody(box: Box) -> None:
    assert failed(box, "smarteros-heartbeat") == []
    assert failed(box, "smarteros-backup-files") == []


def test_where_nobody_is_told_a_failure_is_a_note_alone(box: Box) -> None:
    box.write("journalctl", "#!/bin/sh\necho 'odoo: 3 files differ'\n").chmod(0o755)
    script = str(box.root / "current" / "backup" / "failed.sh")
    environment = {**os.environ, "PATH": f"{box.root}:{os.environ['PATH']}"}
    subprocess.run(["sh", script, "smarteros-drill"], env=environment, check=True)
    assert not (box.root / "lib" / "notify").exists()
    assert (box.root / "lib" / "backup" / "failed" / "drill").read_text() == "odoo: 3 files differ \n"

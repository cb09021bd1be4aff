"""Apt: who holds its locks is found, waited for, and the shell around it is valid."""

import fcntl
import os
import subprocess
import time
from pathlib import Path

import pytest

from tasks.facts.machine import HOLDERS
from tasks.operations import apt

LISTS = "/var/lib/apt/lists/lock"
FRONTEND, DPKG = "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"

WAIT = (
    'for second in $(seq 600); do [ -n "$(stat -c %i /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock '
    '/var/lib/apt/lists/lock 2>/dev/null | awk \'NR == FNR {lock[$1]; next} {split($6, part, ":")} '
    "part[3] in lock {print $5}' - /proc/locks | sort -u)\" ] || break; sleep 1; done"
)
GET = "DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600"


def moved(script: str, folder: Path) -> str:
    """The script with apt's locks in a folder of the test's."""
    for path in (FRONTEND, DPKG, LISTS):
        script = script.replace(path, str(folder / path.replace("/", "_")))
    return script


def sh(script: str) -> str:
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", [FRONTEND, DPKG, LISTS])
def test_who_holds_a_lock_is_found(tmp_path: Path, path: str) -> None:
    script = moved(HOLDERS, tmp_path)
    assert sh(script) == ""
    with Path(moved(path, tmp_path)).open("w") as file:
        assert sh(script) == ""
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert sh(script) == f"{os.getpid()}\n"
    assert sh(script) == ""


def test_a_lock_is_waited_for_as_long_as_it_is_held_and_no_longer_than_it_may(tmp_path: Path) -> None:
    script = moved(apt.WAIT, tmp_path)
    holder = f"import fcntl, time; f = open({moved(LISTS, tmp_path)!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(4)"
    with subprocess.Popen(["python3", "-c", holder]):
        while not sh(moved(HOLDERS, tmp_path)):
            time.sleep(0.02)
        began = time.monotonic()
        sh(script.replace("600", "1"))
        assert 1 <= time.monotonic() - began < 3
        sh(script)
        assert time.monotonic() - began > 3
    assert sh(moved(HOLDERS, tmp_path)) == ""


def test_packages_are_installed_with_an_update_only_when_there_is_no_other_way() -> None:
    install = f"{GET} install -y --no-install-recommends a b"
    assert apt.install("a", "b") == (
        f"{install} || {{ {WAIT}; apt-get -q -o DPkg::Lock::Timeout=600 update && {install}; }}"
    )


def test_an_interrupted_dpkg_is_mended_without_a_question() -> None:
    keeping = (
        "apt-get -q -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confdef "
        "-o Dpkg::Options::=--force-confold"
    )
    assert apt.MEND.splitlines() == [
        WAIT,
        "export DEBIAN_FRONTEND=noninteractive",
        "dpkg --force-confdef --force-confold --configure -a || true",
        r"broken=$(dpkg-query -W -f '${db:Status-Eflag} ${binary:Package}\n' | sed -n 's/^reinstreq //p')",
        f'[ -z "$broken" ] || {keeping} install -y --reinstall $broken',
        f"{keeping} --fix-broken install -y",
        "left=$(dpkg --audit)",
        '[ -z "$left" ] || { echo "$left" >&2; exit 1; }',
    ]
    subprocess.run(["sh", "-n"], input=apt.MEND, text=True, check=True)

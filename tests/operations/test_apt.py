"""Apt: who holds its locks is found, waited for, and the shell around it is valid."""

import fcntl
import os
import subprocess
import time
from pathlib import Path

import pytest

from tasks.facts.holders import HOLDERS
from tasks.operations import apt

LISTS = "/var/lib/apt/lists/lock"
FRONTEND, DPKG = "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"

WAIT = (
    'for second in $(seq 600); do [ -n "$(stat -c %i /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock '
    '/var/lib/apt/lists/lock 2>/dev/null | awk \'NR == FNR {lock[$1]; next} {split($6, part, ":")} '
    "part[3] in lock {print $5}' - /proc/locks | sort -u)\" ] || break; sleep 1; done"
)
GET = "apt-get -q -o DPkg::Lock::Timeout=600"
INSTALL = f"{GET} install -y --no-install-recommends --no-remove"
QUIET = "DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1"
UPDATE = f"{WAIT}; {{ {GET} update 2>&1 || true; }} | tee /run/smarteros-apt"
WHY = apt._WHY


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


def test_packages_are_installed_with_fresh_lists_and_none_is_removed_for_them() -> None:
    assert apt.script(["a", "b"], "-o X=y", "true") == "\n".join(
        (
            WHY,
            "set -e",
            f"export {QUIET}",
            UPDATE,
            "true",
            f"{INSTALL} -o X=y a b || {{ why a b >&2; exit 1; }}",
        )
    )


def test_packages_are_installed_with_an_update_only_when_there_is_no_other_way() -> None:
    text = apt.install("a", "b")
    assert text == f"{QUIET} {INSTALL} a b || {{\n{apt.script(['a', 'b'])}\n}}"
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


APT = """#!/bin/sh
case "$*" in
*update*) cat "$SAID"; exit 100 ;;
*-s\\ install*) printf 'Inst a (1)\\nRemv docker-ce [5:28]\\nRemv containerd.io [1.7]\\n' ;;
*) exit "$CODE" ;;
esac
"""
SAID = """Err:1 cdrom://Debian 13 trixie Release
  Please use apt-cdrom to make this CD-ROM recognized by APT.
Hit:2 http://good.example/debian trixie InRelease
Err:3 http://dead.example/debian trixie InRelease
  Something wicked happened resolving 'dead.example:http'
W: GPG error: https://old.example/apt stable InRelease: The following signatures were invalid: EXPKEYSIG 1
E: The repository 'https://gone.example/x gone Release' does not have a Release file.
"""


def run(folder: Path, script: str, code: int) -> tuple[int, list[str]]:
    """With an apt-get whose update fails, and whose install ends with this code."""
    lists = folder / "sources.list.d"
    lists.mkdir(exist_ok=True)
    (folder / "said").write_text(SAID)
    (folder / "apt-get").write_text(APT)
    (folder / "apt-get").chmod(0o755)
    (folder / "sources.list").write_text(
        "# deb http://dead.example/debian trixie main\ndeb cdrom:[Debian 13]/ trixie main\n"
        "deb http://good.example/debian trixie main\n"
    )
    (lists / "x.sources").write_text("Types: deb\nURIs: https://gone.example/x/\nSuites: gone\n")
    (lists / "y.list").write_text(
        "deb http://dead.example/debian/ trixie main\ndeb https://old.example/apt stable main\n"
    )
    moved = script.replace("/etc/apt/", f"{folder}/").replace("/run/", f"{folder}/run-")
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "SAID": str(folder / "said"), "CODE": str(code)}
    done = subprocess.run(["sh", "-c", moved], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.replace(f"{folder}/", "").splitlines()


def test_sources_that_fail_stop_nothing_that_can_be_had_without_them(tmp_path: Path) -> None:
    assert run(tmp_path, apt.script(["a"]), 0) == (0, [])


def test_an_install_that_fails_says_what_would_have_gone_and_which_sources_failed(tmp_path: Path) -> None:
    assert run(tmp_path, apt.script(["a"]), 100) == (
        1,
        [
            (
                "apt would have to remove: docker-ce containerd.io; nothing was removed: remove or upgrade it yourself, "
                "or take another host"
            ),
            "apt cannot read a source, sources.list.d/x.sources line 2: URIs: https://gone.example/x/",
            "apt cannot read a source, sources.list.d/y.list line 1: deb http://dead.example/debian/ trixie main",
            "apt cannot read a source, sources.list.d/y.list line 2: deb https://old.example/apt stable main",
            "apt cannot read a source, sources.list line 2: deb cdrom:[Debian 13]/ trixie main",
        ],
    )


def test_an_interrupted_dpkg_is_mended_without_a_question() -> None:
    keeping = (
        "apt-get -q -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confdef "
        "-o Dpkg::Options::=--force-confold"
    )
    assert apt.MEND.splitlines() == [
        WAIT,
        f"export {QUIET}",
        "dpkg --force-confdef --force-confold --configure -a || true",
        r"broken=$(dpkg-query -W -f '${db:Status-Eflag} ${binary:Package}\n' | sed -n 's/^reinstreq //p')",
        f'[ -z "$broken" ] || {keeping} install -y --no-remove --reinstall $broken',
        f"{keeping} --fix-broken install -y --no-remove",
        "left=$(dpkg --audit)",
        '[ -z "$left" ] || { echo "$left" >&2; exit 1; }',
    ]
    subprocess.run(["sh", "-n"], input=apt.MEND, text=True, check=True)

"""The change of login keys, run for real below a folder: what is written, how it comes back, whoever is killed and when."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.commands.undo_host import undoing
from tasks.facts.before import BeforeFact
from tasks.facts.login_keys import KeyFile, Login
from tasks.operations import armed
from tasks.operations.login_keys import Wanted
from tasks.operations.login_keys_change import change, taken_back
from tests.fake import fake, stdin
from tests.model.test_login_keys import KEY, line
from tests.operations.test_armed import Sandbox, below

HOME = "/etc/ana"
KEYS, SECOND = f"{HOME}/.ssh/authorized_keys", f"{HOME}/.ssh/authorized_keys2"
OLD, NEW = "# mine\n", line(comment="new@laptop", data=b"n" * 32)
GONE = "/var/lib/smarteros/login-keys-gone"
# Whose rights were asked for is noted; a test has only its own.
SETPRIV = '#!/bin/sh\necho "setpriv $1" >>"$LOG"\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'
USER = "root"


def wanted() -> Wanted:
    files = (KeyFile(".ssh/authorized_keys", KEYS), KeyFile(".ssh/authorized_keys2", SECOND, text="old"))
    return Wanted(USER, Login("0", "0", HOME, HOME, files), (NEW,))


@pytest.fixture
def host(tmp_path: Path) -> Sandbox:
    made = Sandbox(tmp_path)
    (tmp_path / "bin/setpriv").write_text(SETPRIV)
    (tmp_path / "bin/setpriv").chmod(0o755)
    folder = tmp_path / f"{HOME[1:]}/.ssh"
    folder.mkdir(parents=True)
    folder.chmod(0o750)
    for name in ("authorized_keys", "authorized_keys2"):
        (folder / name).write_text(OLD + name)
        (folder / name).chmod(0o640)
    return made


def steps(change_: armed.Change) -> tuple[str, str, str]:
    """The script, what it is given, and what proves it."""
    with fake({}):
        first, _, last = armed.proven(change_)
    return str(first), stdin(first), str(last)  # type: ignore[arg-type]


def state(host: Sandbox) -> list[tuple[str, str, str]]:
    """Path, mode and text of all that is in the home, and of the note."""
    home = host.root / HOME[1:]
    found = [home / ".ssh", *(home / ".ssh").glob("*")]
    return sorted(
        (
            str(path.relative_to(home)),
            f"{path.stat().st_mode & 0o777:o}",
            path.read_text() if path.is_file() else "",
        )
        for path in found
    )


BEFORE = [
    (".ssh", "750", ""),
    (".ssh/authorized_keys", "640", f"{OLD}authorized_keys"),
    (".ssh/authorized_keys2", "640", f"{OLD}authorized_keys2"),
]
AFTER = [(".ssh", "700", ""), (".ssh/authorized_keys", "600", wanted().text)]


def note(host: Sandbox) -> str | None:
    path = host.root / GONE[1:]
    return path.read_text() if path.exists() else None


def made(
    host: Sandbox, script: str = "", change_: armed.Change | None = None
) -> subprocess.CompletedProcess[str]:
    whole, given, _ = steps(change_ or change([wanted()], [f"root {KEY}"]))
    return host.sh(script or whole, below(host.root, given))


def test_the_files_are_what_the_setting_says_and_the_second_one_goes(host: Sandbox) -> None:
    done = made(host)
    assert (done.returncode, done.stderr) == (0, "")
    assert (state(host), note(host), host.armed) == (AFTER, f"root {KEY}\n", ["armed"])
    assert {item for item in host.log if item.startswith("setpriv")} == {"setpriv --reuid=0"}
    assert host.sh(steps(change([wanted()], []))[2]).returncode == 0
    assert (state(host), host.armed) == (AFTER, [])


def test_unproven_they_come_back_with_their_modes_and_so_does_the_note(host: Sandbox) -> None:
    (host.root / "var/lib/smarteros").mkdir(parents=True)
    (host.root / GONE[1:]).write_text("earlier\n")
    made(host)
    done = host.revert()
    assert (done.returncode, done.stderr) == (0, "")
    assert (state(host), note(host), host.armed) == (BEFORE, "earlier\n", [])


def test_where_there_was_nothing_there_is_nothing_again(host: Sandbox) -> None:
    shutil.rmtree(host.root / HOME[1:] / ".ssh")
    made(host)
    assert state(host) == AFTER
    assert host.revert().returncode == 0
    assert (state(host), note(host)) == ([(".ssh", "700", "")], None)


def cuts() -> list[str]:
    """The script, cut short after each line of it at which a shell can be killed."""
    lines = steps(change([wanted()], []))[0].splitlines()
    scripts = ["\n".join([*lines[:end], "kill -9 $$"]) for end in range(1, len(lines) + 1)]
    return [
        text
        for text in scripts
        if subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=False).returncode
        == 0
    ][20:]


@pytest.mark.parametrize("script", cuts(), ids=lambda script: script.splitlines()[-2][:30])
def test_killed_anywhere_they_come_back_and_can_be_written_again(host: Sandbox, script: str) -> None:
    made(host, script)
    if state(host) != BEFORE:
        assert host.armed == ["armed"]
    assert host.revert().returncode == 0
    assert (state(host), host.armed) == (BEFORE, [])
    assert made(host).returncode == 0
    assert state(host) == AFTER


def test_undo_host_brings_what_was_there_before_the_first_change(host: Sandbox) -> None:
    for text in ("first", "second"):
        made(host)
        host.sh(steps(change([wanted()], []))[2])
        (host.root / KEYS[1:]).write_text(text)
    lines = (
        (host.root / "var/lib/smarteros/before/index").read_text().replace(str(host.root), "").splitlines()
    )
    index = BeforeFact().process(lines)
    assert index.logins == {KEYS: (USER, "750", "root:root"), SECOND: (USER, "750", "root:root")}
    what = undoing(index)
    assert ({*what.back} >= {KEYS, SECOND}, {*what.keys}) == (True, {KEYS, SECOND})
    done = made(host, change_=taken_back(what.keys, {*what.back}))
    assert (done.returncode, done.stderr) == (0, "")
    assert (state(host), note(host)) == (BEFORE, None)


def test_of_a_user_who_is_gone_nothing_comes_back(host: Sandbox) -> None:
    done = made(host, change_=taken_back({KEYS: ("nobody-of-this-name", "750", "root:root")}, []))
    assert (done.returncode, done.stderr) == (0, "")
    assert state(host) == BEFORE


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can be somebody else")
def test_a_user_who_leads_a_folder_elsewhere_leads_nobody_there(host: Sandbox) -> None:
    """The rights are the user's own: what only root may write stays."""
    (host.root / "bin/setpriv").unlink()
    host.root.chmod(0o755)
    for folder in host.root.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o011)
    target = host.root / "etc/root"
    target.mkdir(mode=0o700)
    (target / "authorized_keys").write_text("root's")
    home = host.root / HOME[1:]
    shutil.rmtree(home / ".ssh")
    (home / ".ssh").symlink_to(target)
    nobody = Wanted("nobody", Login("65534", "65534", HOME, HOME, wanted().login.files), (NEW,))
    done = made(host, change_=change([nobody], []))
    assert done.returncode != 0
    assert (
        (target / "authorized_keys").read_text(),
        target.stat().st_uid,
        target.stat().st_mode & 0o777,
    ) == ("root's", 0, 0o700)

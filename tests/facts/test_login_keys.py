"""Whose keys let in: what the shell says of real files, and what is read of it; keys that have gone, as sshd and ssh answer."""

import base64
import os
import stat
import subprocess
from pathlib import Path

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.keys_gone import Gone, KeysGoneFact
from tasks.facts.login_keys import UNPROVEN, KeyFile, LoginKeys, LoginKeysFact
from tasks.model.login_keys import key
from tests.model.test_login_keys import KEY

# Plays sshd -T for a user in a Match block.
SSHD = r"""#!/bin/sh
case $* in
*user=ana,host=192.0.2.1,addr=192.0.2.1,laddr=192.0.2.9,lport=22*)
    echo 'authorizedkeysfile .ssh/authorized_keys %h/keys/%u-%U KEYS/all'
    echo 'authorizedkeyscommand /usr/bin/ask %u'
    echo 'trustedusercakeys none'
    ;;
*) echo 'authorizedkeysfile none' ;;
esac
"""
GETENT = '#!/bin/sh\ncase $2 in ana) echo "ana:x:{0}:{1}:Ana:{2}:/bin/sh" ;; bo) echo bo:x:7:7::/nowhere:/bin/sh ;; *) exit 2 ;; esac\n'


def ask(tmp_path: Path, *names: str) -> LoginKeys:
    """What a host says whose files lie below the path."""
    for name, text in (
        ("sshd", SSHD.replace("KEYS", str(tmp_path))),
        ("getent", GETENT.format(os.getuid(), os.getgid(), tmp_path / "ana")),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    script = LoginKeysFact().command(names).replace("/usr/sbin/sshd", str(tmp_path / "sshd"))
    done = subprocess.run(
        ["sh", "-c", script.replace(UNPROVEN, str(tmp_path / "gone"))],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "SSH_CONNECTION": "192.0.2.1 5 192.0.2.9 22"},
        capture_output=True,
        text=True,
        check=True,
    )
    return LoginKeysFact().process(done.stdout.splitlines())


def test_every_file_that_sshd_reads_for_a_user_is_seen_with_its_folders_up_to_the_home(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "ana/.ssh"
    folder.mkdir(parents=True)
    folder.chmod(0o750)
    (folder / "authorized_keys").write_text(f"{KEY}\r\nÄ")
    (folder / "authorized_keys").chmod(0o640)
    (tmp_path / "all").touch(mode=0o644)
    (tmp_path / "gone").write_text(f"ana {KEY}\nbo ssh-ed25519 AAAA\n")
    found = ask(tmp_path, "ana", "bo", "eve")
    assert found.unproven == {"ana": (KEY,), "bo": ("ssh-ed25519 AAAA",)}
    assert sorted(found.users) == ["ana", "bo"]
    assert found.users["bo"].files == ()
    ana = found.users["ana"]
    assert (ana.number, ana.home, ana.base) == (
        str(os.getuid()),
        str(tmp_path / "ana"),
        str(tmp_path / "ana"),
    )
    assert ana.elsewhere == ("authorizedkeyscommand /usr/bin/ask %u",)
    first, second, shared = ana.files
    assert (first.text, first.mode, first.real) == (f"{KEY}\r\nÄ", "640", str(folder / "authorized_keys"))
    assert [(item.path, item.mode) for item in first.folders] == [
        (str(folder), "750"),
        (str(folder.parent), mode(folder.parent)),
    ]
    assert (second.path, second.text, second.shared) == (
        f"{tmp_path}/ana/keys/ana-{os.getuid()}",
        None,
        False,
    )
    assert [item.path for item in second.folders] == [str(tmp_path / "ana")]
    assert (shared.shared, shared.text, shared.folders[-1].path) == (True, "", "/")


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):o}"


def test_a_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "ana/.ssh").mkdir(parents=True)
    (tmp_path / "cluster").write_text(KEY)
    (tmp_path / "ana/.ssh/authorized_keys").symlink_to(tmp_path / "cluster")
    (first, *_) = ask(tmp_path, "ana").users["ana"].files
    assert (first.real, first.text) == (str(tmp_path / "cluster"), KEY)


@pytest.mark.parametrize(
    "lines", [["user ana 1"], ["user ana 1 1 /home/ana"], ["user ana 1 1 /h", "base /h", "file x"]]
)
def test_lines_that_no_host_prints_are_an_error(lines: list[str]) -> None:
    with pytest.raises(FactProcessError, match=r"^cannot read whose keys let in: "):
        LoginKeysFact().process(lines)


def test_a_file_of_the_users_own_is_one_that_its_name_or_home_leads_to() -> None:
    own = (".ssh/authorized_keys", "%h/keys", "/etc/ssh/keys/%u", "/etc/ssh/keys/%U")
    assert [KeyFile(pattern, "/x").shared for pattern in (*own, "/etc/ssh/keys", "/etc/ssh/100%%")] == [
        False
    ] * 4 + [True] * 2


# Plays ssh, which has asked sshd; the journal of the sessions, of which one lives; and who has a home.
SAID = {
    "opens": "debug1: Offering public key: x\ndebug1: Server accepts key: x\nAccepted key ED25519 {0} found at /root/.ssh/authorized_keys2:3\r\nroot@localhost: Permission denied (publickey).",
    "refused": "debug1: Offering public key: x\nroot@localhost: Permission denied (publickey).",
    "silent": "debug1: Reading\nkex_exchange_identification: Connection closed by remote host",
}


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("opens", Gone(opens="/root/.ssh/authorized_keys2:3")),
        ("refused", Gone()),
        ("silent", Gone(unknown="kex_exchange_identification: Connection closed by remote host")),
    ],
)
def test_sshd_is_asked_and_open_sessions_and_other_files_are_named(
    tmp_path: Path, said: str, gone: Gone
) -> None:
    found = key(KEY)
    (tmp_path / "ana/.ssh").mkdir(parents=True)
    (tmp_path / "ana/.ssh/authorized_keys").write_text(f'from="x" {KEY}\n')
    line = "host sshd[{}]: Accepted publickey for root from 192.0.2.7 port 5 ssh2: ED25519 {}"
    programs = {
        "ssh": f"cat <<'END'\n{SAID[said].format(found.fingerprint)}\nEND\nexit 255",
        "journalctl": f"echo '{line.format(os.getpid(), found.fingerprint)}'; echo '{line.format(os.getpid(), 'SHA256:other')}'",
        "getent": f"echo ana:x:1:1::{tmp_path / 'ana'}:/bin/sh",
        "cat": '[ "${1%/comm}" = "$1" ] && exec /bin/cat "$@"; echo sshd-session',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", KeysGoneFact().command([("root", found)]).replace("/etc/ssh", str(tmp_path / "none"))],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    (one,) = KeysGoneFact().process(done.stdout.splitlines())
    assert one == Gone(
        gone.opens,
        gone.unknown,
        (f"{os.getpid()} from 192.0.2.7",),
        (str(tmp_path / "ana/.ssh/authorized_keys"),),
    )
    assert base64.b64encode(found.blob).decode() in KEY


@pytest.mark.parametrize("lines", [[], ["opens 0 x"], ["lost 0 x", "asked 1"], ["opens x y", "asked 1"]])
def test_an_answer_that_is_cut_is_none(lines: list[str]) -> None:
    with pytest.raises(FactProcessError, match=r"^cannot read which keys still let in: "):
        KeysGoneFact().process(lines)

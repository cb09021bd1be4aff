"""Logins: who gets in before we come, by what, and where sshd looks for keys, as sshd says for each user."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.facts.logins import QUESTION, Logins, logins
from tests.facts.test_silence import answered

PASSWD = """root:x:0:0::{}/root:/bin/bash
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
ann:x:1000:1000::{}/ann:/bin/bash
bob:x:1001:1001::{}/bob:/usr/sbin/nologin
carol:x:1002:1002::{}/carol:/bin/sh
dave:x:1003:1003::{}/dave:/bin/zsh
"""
SHADOW = "root:$y$x:1::\ndaemon:*:1::\nann:$y$x:1::\nbob:$y$x:1::\ncarol:oldcryptdes:1::\ndave:!$y$x:1::\n"
PLAIN = "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2\nauthenticationmethods any\n"
OPEN = (
    PLAIN + "permitrootlogin without-password\npasswordauthentication yes\nkbdinteractiveauthentication no\n"
)
HOME = "~/.ssh/authorized_keys"
SSHD = """#!/bin/sh
user=${3#user=} user=${user%%,*}
[ "$3" = "user=$user,host=198.51.100.9,addr=198.51.100.9,laddr=203.0.113.7,lport=22" ] || exit 1
[ -f "says-$user" ] || user=all
cat "says-$user"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host's files: ann has a key, and root one that only says something."""
    (tmp_path / "etc" / "ssh").mkdir(parents=True)
    (tmp_path / "etc" / "passwd").write_text(PASSWD.format(*[tmp_path] * 5))
    (tmp_path / "etc" / "shadow").write_text(SHADOW)
    (tmp_path / "etc" / "nsswitch.conf").write_text("passwd:         files systemd\ngroup: files sss\n")
    (tmp_path / "sshd").write_text(SSHD)
    (tmp_path / "sshd").chmod(0o755)
    keys(tmp_path, "root", 'no-pty,command="echo use ann" ssh-ed25519 AAAA x')
    keys(tmp_path, "ann", "# mine\nssh-rsa AAAA x")
    keys(tmp_path, "dave", "# ssh-rsa AAAA x")
    return tmp_path


def keys(root: Path, name: str, text: str, file: str = "{}/.ssh/authorized_keys") -> None:
    path = root / file.format(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def found(root: Path, everybody: str, *, more: Sequence[str] = (), **users: str) -> Logins:
    """What is known of a host whose sshd says this of everybody, and in Match blocks of these users."""
    (root / "says-all").write_text(everybody)
    for name, text in users.items():
        (root / f"says-{name}").write_text(text)
    (root / "etc" / "ssh" / "sshd_config").write_text("Match User x\n" if users else "# Match\n")
    text = QUESTION.replace("/etc/", "etc/").replace("/usr/sbin/sshd", "./sshd")
    way = "198.51.100.9 50000 203.0.113.7 22"
    script = f"cd {root}; all=$(cat says-all) way='{way}'\n{text}"
    values: dict[str, list[str]] = {}
    for line in (*answered(script, dict(os.environ)), *more):
        key, _, value = line.partition(" ")
        values.setdefault(key, []).append(value)
    return logins(values)


@pytest.mark.parametrize(
    ("says", "passwords"),
    [
        (OPEN.replace("yes", "no"), []),
        (OPEN, ["carol"]),
        (OPEN.replace("without-password", "yes"), ["root", "carol"]),
        (OPEN.replace("yes", "no").replace("authentication no", "authentication yes"), ["carol"]),
        (OPEN.replace("methods any", "methods publickey publickey,password"), []),
        (OPEN.replace("methods any", "methods publickey password"), ["carol"]),
    ],
)
def test_who_has_only_a_password_is_known(root: Path, says: str, passwords: list[str]) -> None:
    assert found(root, says) == Logins(keys=("ann",), passwords=dict.fromkeys(passwords, HOME))


@pytest.mark.parametrize(
    "more", ["forcecommand internal-sftp -d /upload\n", "subsystem sftp internal-sftp\n"]
)
def test_who_has_no_shell_and_comes_for_files_is_one_of_them(root: Path, more: str) -> None:
    assert found(root, OPEN + more).passwords == {"bob": HOME, "carol": HOME}
    assert found(root, OPEN + "subsystem sftp /usr/lib/openssh/sftp-server\n").passwords == {"carol": HOME}


def test_who_has_no_shell_and_a_match_block_is_one_of_them(root: Path) -> None:
    tunnel = found(root, OPEN, bob=OPEN + "permitopen 127.0.0.1:5432\n")
    assert tunnel.passwords == {"bob": HOME, "carol": HOME}


def test_a_match_block_counts_for_whom_it_is(root: Path) -> None:
    closed = OPEN.replace("passwordauthentication yes", "passwordauthentication no")
    assert found(root, closed, carol=OPEN).passwords == {"carol": HOME}
    assert found(root, OPEN, carol=closed).passwords == {}


def test_keys_are_looked_for_where_sshd_looks(root: Path) -> None:
    keys(root, "carol", "sk-ssh-ed25519@openssh.com AAAAG x", "keys/{}")
    elsewhere = OPEN.replace(".ssh/authorized_keys .ssh/authorized_keys2", f"{root}/keys/%u")
    assert found(root, elsewhere) == Logins(keys=("carol",), passwords={"ann": f"{root}/keys/ann"})


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("%h/%u/keys%%", "{home}/carol/keys%"),
        ("/k/%U", "/k/1002"),
        ("none", "a file that AuthorizedKeysFile names"),
    ],
)
def test_the_file_for_a_key_is_the_one_that_sshd_reads(root: Path, path: str, file: str) -> None:
    says = OPEN.replace(".ssh/authorized_keys .ssh/authorized_keys2", path)
    assert found(root, says).passwords["carol"] == file.format(home="~")


def test_a_second_file_counts_as_the_first(root: Path) -> None:
    keys(root, "carol", "ecdsa-sha2-nistp256 AAAA x", "{}/.ssh/authorized_keys2")
    assert found(root, OPEN).keys == ("ann", "carol")


@pytest.mark.parametrize(
    ("line", "keys_of", "commands", "passwords"),
    [
        ('cert-authority,principals="carol" ssh-ed25519 AAAA ca', ("ann", "carol"), (), []),
        ("ssh-ed25519-cert-v01@openssh.com AAAA x", ("ann",), (), ["carol"]),
        ('restrict,command="borg serve" ssh-ed25519 AAAA x', ("ann",), ("carol",), ["carol"]),
        ('command="borg serve" ssh-ed25519 AAAA x\nssh-rsa AAAA y', ("ann", "carol"), (), []),
        ('command="echo no" ssh-ed25519 AAAA x', ("ann",), (), ["carol"]),
    ],
)
def test_each_kind_of_line(
    root: Path, line: str, keys_of: tuple[str, ...], commands: tuple[str, ...], passwords: list[str]
) -> None:
    keys(root, "carol", line)
    assert found(root, OPEN) == Logins(keys_of, commands, dict.fromkeys(passwords, HOME))


def test_keys_that_a_program_has_are_not_known_to_be_missing(root: Path) -> None:
    program = "authorizedkeyscommand /usr/bin/google_authorized_keys"
    assert found(root, f"{OPEN}{program}\n") == Logins(
        keys=("ann",), passwords={"carol": HOME}, unsure={"carol": program}, sources=(program,)
    )


def test_a_program_for_keys_that_sshd_is_started_with_counts_too(root: Path) -> None:
    program = "authorizedkeyscommand /usr/share/eic/keys %u %f"
    more = [f"ssh_says ssh.service command 0 {program}"]
    known = found(root, f"{OPEN}authorizedkeyscommand none\n", more=more)
    assert (known.unsure, known.sources) == ({"carol": program}, (program,))


def test_certificates_count_where_a_user_has_principals(root: Path) -> None:
    authority = "trustedusercakeys /etc/ssh/ca.pub"
    says = f"{OPEN}{authority}\nauthorizedkeyscommand none\n"
    assert found(root, f"{says}authorizedprincipalsfile none\n").unsure == {"carol": authority}
    says += f"authorizedprincipalsfile {root}/principals/%u\n"
    assert found(root, says).unsure == {}
    keys(root, "carol", "carol", "principals/{}")
    assert found(root, says).unsure == {"carol": authority}


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ("denyusers car*\n", ("ann",)),
        ("allowusers carol@192.0.2.*\nallowusers dave\n", ("carol",)),
        ("allowgroups no-such-group\n", ()),
        ("denygroups no-such-group\n", ("ann", "carol")),
    ],
)
def test_whom_sshd_lets_in_by_no_means_is_not_shut_out(root: Path, more: str, names: tuple[str, ...]) -> None:
    known = found(root, OPEN + more)
    assert (*known.keys, *known.passwords) == names


def test_a_root_that_may_not_log_in_is_none(root: Path) -> None:
    keys(root, "root", "ssh-ed25519 AAAA x")
    assert found(root, OPEN).keys == ("root", "ann")
    assert found(root, OPEN.replace("without-password", "no")).keys == ("ann",)
    forced = found(root, OPEN.replace("without-password", "forced-commands-only"))
    assert (forced.keys, forced.commands) == (("ann",), ("root",))


def test_users_of_a_directory_and_tickets_are_other_ways_in(root: Path) -> None:
    (root / "etc" / "nsswitch.conf").write_text("passwd: files [SUCCESS=merge] systemd sss winbind\n")
    known = found(root, f"{OPEN}gssapiauthentication yes\nhostbasedauthentication no\n")
    assert (known.directories, known.others) == (("sss", "winbind"), ("gssapiauthentication",))
    assert found(root, OPEN.replace("yes", "no")).directories == ()


def test_the_question_is_sh() -> None:
    assert subprocess.run(["sh", "-n", "-c", QUESTION], check=False).returncode == 0

"""What sshd's files say beside ours: the order in which they count, second factors, what Match blocks let in by."""

import subprocess
from pathlib import Path

import pytest

from tasks.facts.ssh_says import COMMAND, MAIN, QUESTION, Says, said
from tasks.operations.ssh_says import methods, problems, remarks, without

OURS = "PasswordAuthentication no\nAuthenticationMethods publickey\n"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf"
TOP = f"put `{INCLUDE}` at its top"
FOLDER = "/etc/ssh/sshd_config.d/*.conf"


def lines(
    folder: Path,
    text: str,
    other: str = "",
    *,
    name: str = "50-cloud-init.conf",
    ours: str = OURS,
    **kept: bool,
) -> list[str]:
    """The refusals of a host with this sshd_config, and this file in its folder."""
    (folder / "sshd_config.d").mkdir(exist_ok=True)
    (folder / "sshd_config").write_text(text)
    if other:
        (folder / "sshd_config.d" / name).write_text(other)
    script = QUESTION.replace("/etc/ssh", str(folder))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    printed = done.stdout.replace(str(folder), "/etc/ssh").splitlines()
    return list(problems(said([line.removeprefix("ssh_says ") for line in printed]), ours, **kept))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        (f"# as it is shipped\n{INCLUDE}\nKbdInteractiveAuthentication no\nUsePAM yes\n", ""),
        (f"\n{INCLUDE}\n", "PasswordAuthentication yes\n"),
        (f"passwordauthentication no\nPort 2222\n{INCLUDE}\n", ""),
        (f"{INCLUDE}\nAuthenticationMethods publickey\nMatch User git\n  AllowTcpForwarding no\n", ""),
    ],
)
def test_what_ours_counts_before_is_fine(tmp_path: Path, text: str, other: str) -> None:
    assert lines(tmp_path, text, other) == []


def test_a_file_that_includes_ours_late_not_at_all_or_for_some_is_refused(tmp_path: Path) -> None:
    for number, (text, line) in enumerate(
        [
            (
                f"PasswordAuthentication yes\n{INCLUDE}\n",
                (
                    f"sshd: {MAIN} says `passwordauthentication yes` before it includes {FOLDER}, and the first counts: "
                    f"{TOP}, or take the line out"
                ),
            ),
            (
                "PasswordAuthentication yes\n",
                f"sshd: {MAIN} does not include {FOLDER}, where our settings come: {TOP}",
            ),
            (f"Match User git\n{INCLUDE}\n", f"sshd: {MAIN} includes {FOLDER} within a Match block: {TOP}"),
        ]
    ):
        (tmp_path / str(number)).mkdir()
        assert lines(tmp_path / str(number), text) == [line]


AFTER = "and afterwards a key alone lets people in"
GIVE = f"{AFTER}: give one to whom it is for, and take the line out"
KEEP = f"{AFTER}: set second_factor = True, which keeps it, or take the line out"
NOBODY = "and afterwards nobody gets in without a key: take the line out if that is what you want"
PASSWORD = (
    "and afterwards a password is no second factor either: let PAM ask for it (keyboard-interactive in its place, with "
    "second_factor = True), or take the line out if that is what you want"
)


@pytest.mark.parametrize(
    ("line", "why", "kept"),
    [
        ("AuthenticationMethods publickey,keyboard-interactive", KEEP, ""),
        ("AuthenticationMethods publickey publickey,keyboard-interactive:pam", KEEP, ""),
        ('AuthenticationMethods "publickey,publickey" # two keys', KEEP, ""),
        ("AuthenticationMethods publickey,password publickey,keyboard-interactive", PASSWORD, PASSWORD),
        ("AuthenticationMethods publickey keyboard-interactive", NOBODY, NOBODY),
        ("AuthenticationMethods any", NOBODY, NOBODY),
        ("PasswordAuthentication yes", GIVE, GIVE),
        ("KbdInteractiveAuthentication yes", GIVE, ""),
        ("ChallengeResponseAuthentication yes", GIVE, ""),
        ("PubkeyAuthentication no", GIVE, GIVE),
    ],
)
def test_what_a_match_block_lets_in_by(tmp_path: Path, line: str, why: str, kept: str) -> None:
    text = f"{INCLUDE}\nMatch User ana\n  {line}\n"
    (refusal,) = lines(tmp_path, text)
    assert refusal.endswith(f" in a Match block, {why}")
    (tmp_path / "kept").mkdir()
    rest = lines(tmp_path / "kept", text, second_factor=True)
    assert [text.endswith(kept) for text in rest] == ([True] if kept else [])


def test_a_second_factor_for_all_is_refused_or_becomes_ours(tmp_path: Path) -> None:
    both = "publickey,keyboard-interactive"
    line = f"AuthenticationMethods {both}\n"
    where = "sshd: /etc/ssh/sshd_config.d/50-cloud-init.conf says"
    assert lines(tmp_path, f"{INCLUDE}\n", line) == [f"{where} `authenticationmethods {both}`, {KEEP}"]
    found = said(["/etc/ssh/sshd_config plain 1 authenticationmethods publickey"])
    first = said([f"/etc/ssh/sshd_config.d/50-cloud-init.conf plain 1 authenticationmethods {both}"])
    assert methods([]) == "publickey"
    assert methods(found) == "publickey"
    assert methods([*found, *first]) == both
    for other in ("publickey,password", "publickey keyboard-interactive", "any"):
        assert methods(said([f"{MAIN} plain 1 authenticationmethods {other}"])) == "publickey"


def test_keys_that_others_could_write_are_refused_before_they_count_no_more(tmp_path: Path) -> None:
    assert lines(tmp_path, f"{INCLUDE}\nStrictModes no\n") == [
        (
            f"sshd: {MAIN} says `strictmodes no`, and afterwards keys count no more that others could write: see `namei -l` of "
            "each user's ~/.ssh/authorized_keys, take the right from them (chmod go-w), and take the line out"
        )
    ]


EARLY = ("00-own.conf", "0-x.conf", "-a.conf", "00-S.conf", "00-smarteros-own.conf")


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize("line", ["PasswordAuthentication yes", "  passwordauthentication=yes # for all"])
def test_a_file_that_sorts_before_ours_is_refused(tmp_path: Path, name: str, line: str) -> None:
    value = line.strip().lower().replace("=", " ").partition(" #")[0]
    found = lines(tmp_path, f"{INCLUDE}\n", f"# ours\nPort 2222\nHostKey /x\n{line}\n", name=name)
    assert found == [
        (
            f"sshd: /etc/ssh/sshd_config.d/{name}, line 4, says `{value}`, and is read before our 00-smarteros.conf, and the first "
            "counts: rename it so that it sorts after 00-smarteros.conf, or take the line out"
        )
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("00-own.conf", "PasswordAuthentication no\nPort 2222\nPermitRootLogin without-password\n"),
        ("00-own.conf", "Match User ana\n  X11Forwarding yes\n"),
        ("00-smarteross.conf", "PasswordAuthentication yes\n"),
        ("01-own.conf", "PasswordAuthentication yes\n"),
        ("a.conf", "PasswordAuthentication yes\nAllowUsers ana\n"),
    ],
)
def test_what_says_the_same_or_comes_later_is_fine(tmp_path: Path, name: str, text: str) -> None:
    ours = f"{OURS}PermitRootLogin prohibit-password\nX11Forwarding no\n"
    assert lines(tmp_path, f"{INCLUDE}\n", text, name=name, ours=ours) == []


@pytest.mark.parametrize("name", ["00-own.conf", "90-own.conf"])
def test_users_whom_another_file_names_add_up_with_ours(tmp_path: Path, name: str) -> None:
    assert lines(
        tmp_path, f"{INCLUDE}\n", "AllowUsers ana\n", name=name, ours=f"AllowUsers root\n{OURS}"
    ) == [
        (
            f"sshd: /etc/ssh/sshd_config.d/{name}, line 1, says `allowusers ana`, and such lines add up: name in login_users who "
            "may log in, and take the line out"
        )
    ]


EC2 = (
    "{ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D -o AuthorizedKeysCommand /usr/share/eic/keys %u %f "
    "-o AuthorizedKeysCommandUser eic $SSHD_OPTS ; ignore_errors=no ; start_time=[n/a] }"
)


def started(folder: Path, unit: str, default: str) -> list[str]:
    """What is known of the options of an sshd in this unit."""
    (folder / "systemctl").write_text(f"#!/bin/sh\ncat <<'END'\n{unit}\nEND\n")
    (folder / "systemctl").chmod(0o755)
    (folder / "default").write_text(default)
    script = COMMAND.replace("/etc/default/ssh", "default").replace("systemctl", "./systemctl")
    done = subprocess.run(
        ["sh", "-c", f"unit=ssh.service\n{script}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.removeprefix("ssh_says ") for line in done.stdout.splitlines()]


def test_what_sshd_is_started_with_is_known(tmp_path: Path) -> None:
    assert started(tmp_path, EC2, '# SSHD_OPTS="-o X=y"\nSSHD_OPTS=\n') == [
        "ssh.service command 0 authorizedkeyscommand /usr/share/eic/keys %u %f",
        "ssh.service command 0 authorizedkeyscommanduser eic",
    ]
    plain = "{ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D $SSHD_OPTS ; pid=0 }"
    options = 'SSHD_OPTS="-4 -o PasswordAuthentication=yes -oUseDNS=no -p 22"\n'
    assert started(tmp_path, plain, options) == [
        "default command 0 passwordauthentication yes",
        "default command 0 usedns no",
    ]


def test_an_option_that_counts_before_our_file_is_refused() -> None:
    found = said(
        [
            "ssh.service command 0 authorizedkeyscommand /usr/share/eic/keys %u %f",
            "ssh.service command 0 passwordauthentication yes",
            "/etc/default/ssh command 0 authenticationmethods any",
            "/etc/default/ssh command 0 passwordauthentication no",
        ]
    )
    assert [*problems(found, OURS)] == [
        (
            "sshd: ssh.service starts it with `-o passwordauthentication=yes`, which counts before every file: take it out "
            "(systemctl edit ssh.service)"
        ),
        "sshd: /etc/default/ssh starts it with `-o authenticationmethods=any`, which counts before every file: take it out",
    ]


def test_our_own_file_is_none_of_theirs(tmp_path: Path) -> None:
    (tmp_path / "sshd_config.d").mkdir()
    (tmp_path / "sshd_config.d" / "00-smarteros.conf").write_text("AuthenticationMethods any\n")
    assert lines(tmp_path, f"{INCLUDE}\n") == []


DROP_IN = """# How much
MaxSessions 20
ClientAliveInterval 60
X11Forwarding no
Banner none
AllowAgentForwarding no
PermitTunnel no
"""
OWN = "/etc/ssh/sshd_config.d/own.conf"


def found(folder: Path, text: str, other: str) -> list[Says]:
    """What a host with this sshd_config, and this file in its folder, says."""
    (folder / "sshd_config.d").mkdir()
    (folder / "sshd_config").write_text(text)
    (folder / "sshd_config.d" / "own.conf").write_text(other)
    words = ["sh", "-c", QUESTION.replace("/etc/ssh", str(folder))]
    printed = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    printed = printed.replace(str(folder), "/etc/ssh")
    return [*said([line.removeprefix("ssh_says ") for line in printed.splitlines()])]


STOCK = f"{INCLUDE}\nX11Forwarding yes\n#Banner none\n"


def test_what_a_distribution_ships_is_nobodys_word(tmp_path: Path) -> None:
    own = found(tmp_path, STOCK, "Banner none\nClientAliveInterval 60\n")
    assert (without(DROP_IN, own), [*remarks(own, DROP_IN)]) == (DROP_IN, [])


def test_what_is_no_door_is_left_to_the_hosts_own_files_and_what_is_one_is_not(tmp_path: Path) -> None:
    own = found(
        tmp_path,
        f"{STOCK}ClientAliveInterval 300\nMatch User git\n  Banner /etc/git\n",
        "AllowAgentForwarding yes\nbanner = /etc/issue.net # ours\nPermitTunnel yes\nClientAliveInterval 120\nX11Forwarding yes\n",
    )
    assert without(DROP_IN, own) == "# How much\nMaxSessions 20\nPermitTunnel no\n"
    assert [*remarks(own, DROP_IN)] == [
        (
            f"sshd: its own settings count: clientaliveinterval 120 ({OWN}), allowagentforwarding yes ({OWN}), "
            f"x11forwarding yes ({OWN}), banner /etc/issue.net ({OWN})"
        ),
        f"sshd: ours count from now on, and not permittunnel yes ({OWN})",
    ]


@pytest.mark.parametrize(("number", "counts"), [("100", True), ("2", False)])
def test_a_run_has_the_sessions_that_it_needs(tmp_path: Path, number: str, counts: bool) -> None:
    own = found(tmp_path, STOCK, f"MaxSessions {number}\n")
    assert ("MaxSessions" not in without(DROP_IN, own)) is counts
    assert [line.split(" (")[0] for line in remarks(own, DROP_IN)] == [
        f"sshd: {'its own settings count:' if counts else 'ours count from now on, and not'} maxsessions {number}"
    ]

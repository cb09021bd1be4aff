"""What sshd's files say beside ours: the order in which they count, second factors, passwords in Match blocks."""

import subprocess
from pathlib import Path

import pytest

from tasks.facts.ssh_says import MAIN, QUESTION, said
from tasks.operations.ssh_says import problems

OURS = "PasswordAuthentication no\nAuthenticationMethods publickey\n"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf"
TOP = f"put `{INCLUDE}` at its top"
FOLDER = "/etc/ssh/sshd_config.d/*.conf"


def lines(folder: Path, text: str, other: str = "") -> list[str]:
    """The refusals of a host with this sshd_config, and this file in its folder."""
    (folder / "sshd_config.d").mkdir()
    (folder / "sshd_config").write_text(text)
    if other:
        (folder / "sshd_config.d" / "50-cloud-init.conf").write_text(other)
    script = QUESTION.replace("/etc/ssh", str(folder))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    printed = done.stdout.replace(str(folder), "/etc/ssh").splitlines()
    return list(problems(said([line.removeprefix("ssh_says ") for line in printed]), OURS))


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


def test_a_second_factor_and_passwords_for_some_are_refused(tmp_path: Path) -> None:
    text = (
        f"{INCLUDE}\nMatch User ana\n  AuthenticationMethods publickey,keyboard-interactive\n"
        "Match User old\n  PasswordAuthentication yes\n"
    )
    assert lines(tmp_path, text, "AuthenticationMethods publickey,password\n") == [
        (
            f"sshd: {MAIN} says `authenticationmethods publickey,keyboard-interactive` in a Match block, and afterwards a key "
            "alone lets people in: a second factor would be gone, and who needs one locked out: take the line out if that is "
            "what you want"
        ),
        (
            f"sshd: {MAIN} says `passwordauthentication yes` in a Match block, which would go on letting people in without a "
            "key: take the line out"
        ),
        (
            "sshd: /etc/ssh/sshd_config.d/50-cloud-init.conf says `authenticationmethods publickey,password`, and afterwards a "
            "key alone lets people in: a second factor would be gone, and who needs one locked out: take the line out if that "
            "is what you want"
        ),
    ]

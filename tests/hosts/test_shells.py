"""Shells and sudo as people have them: what they print beside an answer changes nothing, and what cannot work is said once."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

FEW = ["vault", "redis"]
DEPLOY = {"ssh_user": "deploy", "_sudo": True, "services": FEW}

# A user with sudo, whose login shell is the one that is named.
USER = """
useradd --create-home --shell {shell} deploy
install -d -m 700 -o deploy -g deploy /home/deploy/.ssh
install -m 600 -o deploy -g deploy /root/.ssh/authorized_keys /home/deploy/.ssh/authorized_keys
echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/deploy
"""
GONE = "userdel -rf deploy 2>/dev/null; rm -f /etc/sudoers.d/deploy"
PROFILE = "/home/deploy/.bashrc"
NOISE = """
cat >{path} <<'END'
echo Welcome to $(hostname)
printf 'a line without an end'
echo 'and one for errors' >&2
PROMPT_COMMAND='echo prompt'
set -x
END
chown deploy: {path}
"""


def user(shell: str = "/bin/bash") -> str:
    return USER.format(shell=shell)


CONDITIONS = [
    Condition(
        "a login that greets whoever comes, on both streams, and shows its commands",
        user() + NOISE.format(path=PROFILE),
        GONE,
        settings=DEPLOY,
    ),
    Condition(
        "root's own login greets",
        "cp /root/.bashrc /root/.bashrc.kept 2>/dev/null || true; echo 'echo Welcome' >/root/.bashrc",
        "mv /root/.bashrc.kept /root/.bashrc 2>/dev/null || rm -f /root/.bashrc",
        settings={"services": FEW},
    ),
    Condition(
        "sudo cannot resolve the host's name, and says so each time",
        user() + "hostname >/run/name; hostname nowhere.invalid",
        "hostname $(cat /run/name); " + GONE,
        settings=DEPLOY,
    ),
    Condition(
        "sudo gives every command a terminal of its own",
        user() + "echo 'Defaults use_pty' >>/etc/sudoers.d/deploy",
        GONE,
        settings=DEPLOY,
    ),
    Condition(
        "sudo wants a terminal that nobody has",
        user() + "echo 'Defaults requiretty' >>/etc/sudoers.d/deploy",
        GONE,
        stopped="sudo wants a terminal there: take `Defaults requiretty` out of its sudoers, as root (visudo)",
        settings=DEPLOY,
    ),
    Condition(
        "tools that take no option after the first operand, by the host's environment",
        "cp /etc/environment /run/environment 2>/dev/null || : >/run/environment; echo POSIXLY_CORRECT=1 >>/etc/environment",
        "cp /run/environment /etc/environment",
        settings={"services": FEW},
    ),
    Condition("a restricted shell", user("/bin/rbash"), GONE, settings=DEPLOY),
    Condition("a POSIX shell that is no bash", user("/bin/dash"), GONE, settings=DEPLOY),
    Condition(
        "a login in another language, without its locale",
        user() + f"echo 'export LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8' >{PROFILE}",
        GONE,
        settings=DEPLOY,
    ),
    Condition(
        "a login that may run nothing",
        user("/usr/sbin/nologin"),
        GONE,
        stopped=(
            "this login may run no commands there, it has no shell: give the user one, as root (chsh -s /bin/bash and "
            "the user's name), or log in as another user (ssh_user)"
        ),
        settings=DEPLOY,
    ),
    Condition(
        "a password that has expired",
        user() + "chage -d 0 deploy",
        GONE,
        stopped=(
            "the password of this login has expired, and until it is changed the host runs nothing for it: change it at a "
            "terminal (ssh -t), or as root (chage -M -1 and passwd for that user), or log in as another user (ssh_user)"
        ),
        settings=DEPLOY,
    ),
    Condition(
        "a key that may run one command only",
        user() + "sed -i 's/^/command=\"echo only backups here\" /' /home/deploy/.ssh/authorized_keys",
        GONE,
        stopped=(
            "it runs no command of ours for this login: the login shell, what that starts, or a forced command of the key "
            "answers in its place (only backups here): give the user a shell that runs commands, as root (chsh -s "
            "/bin/bash and the user's name), or log in as another user (ssh_user)"
        ),
        settings=DEPLOY,
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_login_as_people_have_it(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)

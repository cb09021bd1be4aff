"""sshd's own files as people have them: what ours could not undo, or would lock somebody out, is refused first."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

FEW = {"services": ["vault", "redis"]}
MAIN = "/etc/ssh/sshd_config"
FOLDER = "/etc/ssh/sshd_config.d/*.conf"
TOP = f"put `Include {FOLDER}` at its top"
KEPT = f"cp -p {MAIN} /run/sshd_config && "
BACK = f"cp -p /run/sshd_config {MAIN}"

CONDITIONS = [
    Condition(
        "a line of theirs before the Include",
        KEPT + f"sed -i '1i PasswordAuthentication yes' {MAIN}",
        BACK,
        refused=(
            (
                f"sshd: {MAIN} says `passwordauthentication yes` before it includes {FOLDER}, and the first counts: "
                f"{TOP}, or take the line out"
            ),
        ),
        settings=FEW,
    ),
    Condition(
        "no Include at all, as an older release or a hand has left it",
        KEPT + f"sed -i '/^Include/d' {MAIN}",
        BACK,
        refused=(f"sshd: {MAIN} does not include {FOLDER}, where our settings come: {TOP}",),
        settings=FEW,
    ),
    Condition(
        "a second factor for some",
        KEPT
        + f"printf 'Match User ana\\n  AuthenticationMethods publickey,keyboard-interactive\\n' >>{MAIN}",
        BACK,
        refused=(
            (
                f"sshd: {MAIN} says `authenticationmethods publickey,keyboard-interactive` in a Match block, and afterwards "
                "a key alone lets people in: set second_factor = True, which keeps it, or take the line out"
            ),
        ),
        settings=FEW,
    ),
    Condition(
        "passwords for all in cloud-init's file, which ours comes before",
        "mkdir -p /etc/ssh/sshd_config.d && echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/50-cloud-init.conf",
        "rm /etc/ssh/sshd_config.d/50-cloud-init.conf",
        settings=FEW,
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_what_sshd_is_told_already(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)

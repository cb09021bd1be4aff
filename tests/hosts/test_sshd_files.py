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
BOTH = "AuthenticationMethods publickey,keyboard-interactive"
SFTP = "Match User carol\\n  ForceCommand internal-sftp\\n  AuthorizedKeysFile /etc/ssh/keys/%%u\\n"
PROGRAM = "AuthorizedKeysCommand /usr/bin/keys\\nAuthorizedKeysCommandUser nobody"
PERSON = "useradd --no-create-home --shell {shell} carol && echo carol:secret | chpasswd && "
LED = """
cp -p /root/.ssh/authorized_keys /run/authorized_keys
ssh-keygen -q -t ed25519 -N '' -f /run/led && cat /run/led.pub >>/root/.ssh/authorized_keys
ssh -fN -i /run/led -R 2201:127.0.0.1:22 -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null 127.0.0.1 >/dev/null 2>&1
"""
OWN = "/etc/ssh/sshd_config.d/own.conf"
OWN_LINES = (
    "AllowAgentForwarding yes\\nBanner /etc/issue.net\\nMaxSessions 100\\nClientAliveInterval=300\\n"
    "GatewayPorts yes\\nPermitTunnel yes\\n"
)
PASSWORD = "sshd: a password logs nobody in from now on"

PENDING = "/etc/ssh/sshd_config.d/50-own.conf"
NOT_AGAIN = (
    "sshd: with what its files say now it would not let this run in once it restarts, which the change needs, and taking "
    "the change back would not help"
)
MEND = "mend that first, `systemctl reload ssh.service`, and see that a new login comes in before the old one ends"

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
        "a file of theirs that is read before ours",
        "mkdir -p /etc/ssh/sshd_config.d && printf 'Port 22\\nPasswordAuthentication yes\\n' >/etc/ssh/sshd_config.d/0-x.conf",
        "rm /etc/ssh/sshd_config.d/0-x.conf",
        refused=(
            (
                "sshd: /etc/ssh/sshd_config.d/0-x.conf, line 2, says `passwordauthentication yes`, and is read before our "
                "00-smarteros.conf, and the first counts: rename it so that it sorts after 00-smarteros.conf, or take the line "
                "out"
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
        "a second factor for some, which is kept",
        KEPT + f"printf 'Match User ana\\n  {BOTH}\\n' >>{MAIN}",
        BACK,
        settings={**FEW, "second_factor": True},
    ),
    Condition(
        "a second factor for all but the run's own user",
        # With Debian's own line this sshd would not start.
        KEPT
        + f"sed -i 's/^KbdInteractiveAuthentication no/KbdInteractiveAuthentication yes/' {MAIN} && "
        + f"printf '{BOTH}\\nMatch User root\\n  AuthenticationMethods publickey\\n' >>{MAIN}",
        BACK,
        refused=(
            (
                f"sshd: {MAIN} says `authenticationmethods publickey,keyboard-interactive`, and afterwards a key alone lets "
                "people in: set second_factor = True, which keeps it, or take the line out"
            ),
        ),
        settings=FEW,
    ),
    Condition(
        "keys in files that others can write",
        KEPT + f"sed -i '/^Include/a StrictModes no' {MAIN}",
        BACK,
        refused=(
            (
                f"sshd: {MAIN} says `strictmodes no`, and afterwards keys count no more that others could write: see "
                "`namei -l` of each user's ~/.ssh/authorized_keys, take the right from them (chmod go-w), and take the line "
                "out"
            ),
        ),
        settings=FEW,
    ),
    Condition(
        "a Match block for a port, at which older releases' sshd -T ends",
        KEPT + f"printf 'Match LocalPort 2222\\n  X11Forwarding no\\n' >>{MAIN}",
        BACK,
        settings=FEW,
    ),
    Condition(
        "a user of SFTP, without a shell, who has a password and would have keys elsewhere",
        KEPT + PERSON.format(shell="/usr/sbin/nologin") + f"printf '{SFTP}' >>{MAIN}",
        f"userdel carol; {BACK}",
        said=(f"{PASSWORD}, and carol had nothing else: put a key into /etc/ssh/keys/carol there",),
        settings=FEW,
    ),
    Condition(
        "keys that a program has, or nobody",
        KEPT + PERSON.format(shell="/bin/bash") + f"sed -i '/^Include/a {PROGRAM}' {MAIN}",
        f"userdel carol; {BACK}",
        said=(
            (
                f"{PASSWORD}, and carol had no key in a file: see that authorizedkeyscommand /usr/bin/keys has one for them "
                "(ssh -o PreferredAuthentications=publickey), or put one into ~/.ssh/authorized_keys there"
            ),
        ),
        settings=FEW,
    ),
    Condition(
        "a port that somebody's connection leads elsewhere",
        LED,
        "kill $(pgrep -f '^ssh -fN') && cp -p /run/authorized_keys /root/.ssh/authorized_keys && rm /run/led*",
        said=(
            (
                "sshd: nobody gets a port here for what is elsewhere (ssh -R) from now on, as 2201 now: that ends with the "
                "connection it is for, so reach what is behind it another way (a VPN)"
            ),
        ),
        settings=FEW,
    ),
    Condition(
        "users whom a directory knows",
        "cp -p /etc/nsswitch.conf /run/nsswitch.conf && sed -i 's/^passwd:.*/& sss/' /etc/nsswitch.conf",
        "cp -p /run/nsswitch.conf /etc/nsswitch.conf",
        said=(
            (
                f"{PASSWORD}, nor anybody whom sss knows (/etc/nsswitch.conf) and sshd has no key of: they are not listed here"
            ),
        ),
        settings=FEW,
    ),
    Condition(
        "a file of an operator's that forwards agents, shows a banner and has tunnels",
        f"printf '{OWN_LINES}' >{OWN}",
        f"rm {OWN}",
        said=(
            (
                f"sshd: its own settings count: maxsessions 100 ({OWN}), clientaliveinterval 300 ({OWN}), "
                f"allowagentforwarding yes ({OWN}), banner /etc/issue.net ({OWN})"
            ),
            f"sshd: ours count from now on, and not gatewayports yes ({OWN}), permittunnel yes ({OWN})",
        ),
        settings=FEW,
    ),
    Condition(
        "passwords for all in cloud-init's file, which ours comes before",
        "mkdir -p /etc/ssh/sshd_config.d && echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/50-cloud-init.conf",
        "rm /etc/ssh/sshd_config.d/50-cloud-init.conf",
        settings=FEW,
    ),
    *(
        Condition(
            f"written and not loaded yet: {name}",
            f"printf '{text}\\n' >{PENDING}",
            f"rm {PENDING}",
            refused=(f"{NOT_AGAIN}: {why} ({PENDING}:{lines}): {MEND}",),
            values={"to": "hostname -I | cut -d' ' -f1"},
            settings=FEW,
        )
        for name, text, why, lines in (
            (
                "others alone may log in",
                "AllowUsers ops",
                "User root not allowed because not listed in AllowUsers",
                "1:AllowUsers ops",
            ),
            (
                "no user of a group",
                "DenyGroups root",
                "User root not allowed because a group is listed in DenyGroups",
                "1:DenyGroups root",
            ),
            (
                "keys somewhere else",
                "AuthorizedKeysFile /etc/ssh/none/%%u",
                "it takes none of this run's keys",
                "1:AuthorizedKeysFile /etc/ssh/none/%u",
            ),
            (
                "a block for where this run comes from",
                "Match Address *\\n  DenyUsers root",
                "denyusers root",
                f"1:Match Address *; {PENDING}:2:  DenyUsers root",
            ),
            (
                "another port",
                "Port 2222",
                "it would listen on [::]:2222, 0.0.0.0:2222 alone, and this run comes in by {to}, port 22",
                "1:Port 2222",
            ),
        )
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_what_sshd_is_told_already(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)

"""ssh-audit: its policy for a hardened Debian 13, and no algorithm or setting that it fails or warns of; beside what is
there for older clients (without strict_ssh), and for them alone.
"""

import re
import subprocess
import sys
from pathlib import Path

from tests.audit import Target, Verdict

POLICY = "Hardened Debian 13 (version 1)"
_PROGRAM = Path(sys.executable).with_name("ssh-audit")
# What an sshd is asked for; a report that lacks one of them has not seen it.
_KINDS = {"kex", "key", "enc", "mac"}
# What strict_ssh = False leaves to sshd's own lists (Debian 13). A client that knows better never uses it.
OLDER = {
    *("curve25519-sha256", "curve25519-sha256@libssh.org"),
    *(f"ecdh-sha2-nistp{size}" for size in (256, 384, 521)),
    *("hmac-sha2-512", "hmac-sha2-256", "hmac-sha1", "hmac-sha1-etm@openssh.com"),
    *("umac-64-etm@openssh.com", "umac-64@openssh.com", "umac-128@openssh.com"),
    *("rsa-sha2-512", "rsa-sha2-256", "ecdsa-sha2-nistp256"),
}
_LISTS = re.compile(r"^ +- Expected: (.*)\n +- Actual: +(.*)$", re.MULTILINE)
_WARNINGS = re.compile(r"\[(?:fail|warn)\]|insufficient connection throttling", re.IGNORECASE)


def check(target: Target) -> list[Verdict]:
    """Asks the host's sshd twice."""
    policy = _asked(target, "--policy", POLICY)
    audit = _asked(target)
    target.keep("ssh-audit-policy.txt", policy)
    target.keep("ssh-audit.txt", audit)
    return verdicts(policy, audit)


def _asked(target: Target, *options: str) -> str:
    """What ssh-audit prints. sshd shuts out for a while who comes and goes without a login, until it is restarted."""
    try:
        done = subprocess.run(
            [str(_PROGRAM), "--no-colors", *options, target.host.address],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        target.host.container().exec_run(["systemctl", "restart", "ssh.service"])
    return done.stdout + done.stderr


def verdicts(policy: str, audit: str) -> list[Verdict]:
    """What the two reports say; one that has seen no sshd is no good one."""
    passed = re.search(r"^Result:\W*Passed", policy, re.MULTILINE) is not None or _only_older(policy)
    wrong = [] if passed else policy.strip().splitlines()
    seen = set(re.findall(r"^\((\w+)\) ", audit, re.MULTILINE))
    missing = [f"says nothing of {kind}" for kind in sorted(_KINDS - seen)]
    found = [line.strip() for line in _of_all(audit) if _WARNINGS.search(line)]
    return [
        Verdict(
            "ssh-audit policy", passed, f"{POLICY}: {'passed' if passed else 'not passed'}", tuple(wrong)
        ),
        Verdict(
            "ssh-audit", not (missing or found), f"{len(found)} fails and warnings (0)", (*missing, *found)
        ),
    ]


def _only_older(policy: str) -> bool:
    """Whether all that the policy finds wrong is what is there for older clients, beside all that it expects."""
    lists = [[re.sub(r"ext-info-s|kex-strict-\S+", "", text).replace(",", " ").split() for text in found]
             for found in _LISTS.findall(policy)]  # fmt: skip
    return len(lists) == policy.count("\n  * ") > 0 and all(
        set(expected) <= set(actual) <= OLDER.union(expected) for expected, actual in lists
    )


def _of_all(audit: str) -> list[str]:
    """The report's lines but those of algorithms for older clients; what follows on an algorithm's line is indented."""
    lines, older = [], False
    for line in audit.splitlines():
        if named := re.match(r"\((?:kex|key|mac)\) (\S+)", line):
            older = named[1] in OLDER
        elif not line.startswith(" "):
            older = False
        if not older:
            lines.append(line)
    return lines
